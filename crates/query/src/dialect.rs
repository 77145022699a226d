//! Athena's SQL, as sqlparser is to read it.
//!
//! What sqlparser has no switch for is rewritten between the tokenizer and the parser: tokens keep their places, so an
//! error still points into the text as it was written.

use std::any::TypeId;

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// sqlparser's generic dialect, which takes most spellings, with table versions.
#[derive(Debug)]
pub(crate) struct Athena;

/// What the generic dialect says yes to and people write in Athena.
macro_rules! says_yes {
    ($($switch:ident),* $(,)?) => { $(fn $switch(&self) -> bool { true })* };
}

impl Dialect for Athena {
    fn dialect(&self) -> TypeId {
        TypeId::of::<GenericDialect>()
    }

    fn is_delimited_identifier_start(&self, character: char) -> bool {
        GenericDialect.is_delimited_identifier_start(character)
    }

    fn is_identifier_start(&self, character: char) -> bool {
        GenericDialect.is_identifier_start(character)
    }

    fn is_identifier_part(&self, character: char) -> bool {
        GenericDialect.is_identifier_part(character)
    }

    /// sqlparser takes all of `'C' AND y` in `x IS DISTINCT FROM 'C' AND y`.
    fn parse_infix(&self, parser: &mut Parser, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        use Keyword::{DISTINCT, FROM, IS, NOT};
        let is_negated = parser.parse_keywords(&[IS, NOT, DISTINCT, FROM]);
        if !is_negated && !parser.parse_keywords(&[IS, DISTINCT, FROM]) {
            return None;
        }
        let compare = if is_negated { Expr::IsNotDistinctFrom } else { Expr::IsDistinctFrom };
        let right = parser.parse_subexpr(precedence);
        Some(right.map(|right| compare(Box::new(left.clone()), Box::new(right))))
    }

    says_yes! {
        allow_extract_custom,
        allow_extract_single_quotes,
        support_map_literal_syntax,
        supports_array_typedef_with_brackets,
        supports_bitwise_shift_operators,
        supports_dictionary_syntax,
        supports_explain_with_utility_options,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        supports_group_by_with_modifier,
        supports_interval_options,
        supports_lambda_functions,
        supports_left_associative_joins_without_parens,
        supports_nested_comments,
        supports_parens_around_table_factor,
        supports_select_wildcard_except,
        supports_select_wildcard_exclude,
        supports_struct_literal,
        supports_table_versioning,
        supports_unicode_string_literal,
        supports_values_as_table_factor,
        supports_window_clause_named_window_reference,
        supports_window_function_null_treatment_arg,
    }
}

/// Says in sqlparser's words what Athena says in its own.
pub(crate) fn rewrite(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    number_placeholders(&mut tokens);
    let mut index = 0;
    while index < tokens.len() {
        if follows(&tokens, index, &["FOR", "*", "AS", "OF"]) {
            version_clause(&mut tokens, index);
        }
        if is_word(&tokens, index, "AS") && is_nested_type(&tokens, index + 1) {
            nested_type(&mut tokens, index + 1);
        }
        index += 1;
    }
    tokens
}

/// The parser reads only `FOR SYSTEM_TIME AS OF`. A version, not a time, is marked with `~`.
fn version_clause(tokens: &mut Vec<TokenWithSpan>, index: usize) {
    let is_version = is_word(tokens, index + 1, "VERSION") || is_word(tokens, index + 1, "SYSTEM_VERSION");
    let is_time = is_word(tokens, index + 1, "TIMESTAMP") || is_word(tokens, index + 1, "SYSTEM_TIME");
    if is_version || is_time {
        tokens[index + 1].token = keyword("SYSTEM_TIME", Keyword::SYSTEM_TIME);
    }
    if is_version {
        let span = tokens[index + 3].span;
        tokens.insert(index + 4, TokenWithSpan { token: Token::Tilde, span });
    }
}

/// `ARRAY(T)` and `ROW(a T, …)`, which the parser knows as `ARRAY<T>` and `STRUCT<a T, …>`; `MAP(K, V)` stays, with what
/// is inside it. The type starts at `index`; the index behind it comes back.
fn nested_type(tokens: &mut [TokenWithSpan], index: usize) -> usize {
    let is_map = is_word(tokens, index, "MAP");
    if is_word(tokens, index, "ROW") {
        tokens[index].token = keyword("STRUCT", Keyword::STRUCT);
    }
    if !is_map {
        tokens[index + 1].token = Token::Lt;
    }
    let mut at = index + 2;
    while at < tokens.len() {
        at = match &tokens[at].token {
            _ if is_nested_type(tokens, at) => nested_type(tokens, at),
            // `decimal(12, 2)`
            Token::LParen => (at..tokens.len()).find(|&at| tokens[at].token == Token::RParen).unwrap_or(at) + 1,
            Token::RParen => {
                if !is_map {
                    tokens[at].token = Token::Gt;
                }
                return at + 1;
            }
            _ => at + 1,
        };
    }
    at
}

fn is_nested_type(tokens: &[TokenWithSpan], index: usize) -> bool {
    ["ROW", "ARRAY", "MAP"].iter().any(|word| is_word(tokens, index, word))
        && tokens.get(index + 1).is_some_and(|token| token.token == Token::LParen)
}

/// `?` becomes `$1`, `$2`, …: the parser does not keep the order in which they stand.
fn number_placeholders(tokens: &mut [TokenWithSpan]) {
    let placeholders = tokens.iter_mut().filter(|token| token.token == Token::Placeholder("?".to_owned()));
    for (token, number) in placeholders.zip(1..) {
        token.token = Token::Placeholder(format!("${number}"));
    }
}

fn follows(tokens: &[TokenWithSpan], index: usize, words: &[&str]) -> bool {
    words.iter().zip(index..).all(|(word, index)| *word == "*" || is_word(tokens, index, word))
}

fn is_word(tokens: &[TokenWithSpan], index: usize, word: &str) -> bool {
    tokens.get(index).is_some_and(|token| match &token.token {
        Token::Word(found) => found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word),
        _ => false,
    })
}

fn keyword(value: &str, keyword: Keyword) -> Token {
    Token::Word(Word { value: value.to_owned(), quote_style: None, keyword })
}
