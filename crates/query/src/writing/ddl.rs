//! Reads Athena's DDL for Iceberg tables, which sqlparser does not know in Hive's words.

mod database;
mod hive;

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use iceberg::spec::{PrimitiveType, Type};
use lake::SchemaChange;

use crate::dialect::Athena;
use crate::export::Export;
use crate::statement::Raw;
use crate::writing::definition::{self, Definition};
use crate::writing::{Act, Writing};

pub(super) type Result<T, E = ParserError> = std::result::Result<T, E>;

/// Types as Athena writes them, and what Iceberg calls them.
const TYPES: [(&str, &str); 6] = [
    ("bigint", "long"),
    ("integer", "int"),
    ("array", "list"),
    ("varchar", "string"),
    ("varbinary", "binary"),
    ("real", "float"),
];

/// Reads one statement; `None` where it is neither DDL that changes tables nor UNLOAD.
pub(crate) fn read(sql: &str, tokens: &[TokenWithSpan], depth_max: usize) -> Result<Option<Raw>, DataFusionError> {
    let mut reader = Reader {
        parser: Parser::new(&Athena).with_recursion_limit(depth_max).with_tokens_with_locations(tokens.to_vec()),
        sql,
        tokens,
        depth_max,
    };
    reader.statement()
}

struct Reader<'a> {
    parser: Parser<'a>,
    sql: &'a str,
    tokens: &'a [TokenWithSpan],
    depth_max: usize,
}

impl Reader<'_> {
    fn statement(&mut self) -> Result<Option<Raw>, DataFusionError> {
        use Keyword::{ALTER, CREATE, DROP, EXTERNAL, MSCK, OR, REPAIR, REPLACE, TABLE, VIEW};
        if let Some(change) = self.database()? {
            return Ok(Some(Raw::Database(change)));
        }
        if self.parser.parse_keywords(&[CREATE, OR, REPLACE, VIEW]) {
            return self.view(true).map(Raw::Write).map(Some);
        }
        if self.parser.parse_keywords(&[CREATE, VIEW]) {
            return self.view(false).map(Raw::Write).map(Some);
        }
        if self.parser.parse_keywords(&[CREATE, TABLE]) {
            return self.create().map(Raw::Write).map(Some);
        }
        if self.parser.parse_keyword(Keyword::UNLOAD) {
            return self.unload().map(Some);
        }
        let read = if self.parser.parse_keywords(&[CREATE, EXTERNAL, TABLE]) {
            self.external_table()
        } else if self.parser.parse_keywords(&[MSCK, REPAIR, TABLE]) {
            self.parser.parse_object_name(false).map(|table| Writing { table, act: Act::Repair })
        } else if self.parser.parse_keywords(&[DROP, VIEW]) {
            let if_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
            self.parser.parse_object_name(false).map(|table| Writing { table, act: Act::DropView { if_exists } })
        } else if self.parser.parse_keyword(Keyword::VACUUM) {
            self.parser.parse_object_name(false).map(|table| Writing { table, act: Act::Vacuum })
        } else if self.parser.parse_keyword(Keyword::OPTIMIZE) {
            self.optimize()
        } else if self.parser.parse_keywords(&[DROP, TABLE]) {
            self.drop_table()
        } else if self.parser.parse_keywords(&[ALTER, TABLE]) {
            self.alter()
        } else {
            return Ok(None);
        };
        let writing = read.and_then(|writing| self.end().map(|()| writing));
        writing.map(Raw::Write).map(Some).map_err(DataFusionError::from)
    }

    fn create(&mut self) -> Result<Writing, DataFusionError> {
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let table = self.parser.parse_object_name(false)?;
        let mut definition = Definition::default();
        if self.parser.consume_token(&Token::LParen) {
            definition.columns = self.columns()?;
            self.clauses(&mut definition)?;
            self.end()?;
            return Ok(Writing { table, act: Act::Create { definition, if_not_exists } });
        }
        if self.parser.parse_keyword(Keyword::WITH) {
            self.with(&mut definition)?;
        }
        self.parser.expect_keyword(Keyword::AS)?;
        let (query, with_data) = self.rest()?;
        Ok(Writing { table, act: Act::CreateAs { definition, if_not_exists, query: Box::new(query), with_data } })
    }

    /// `(query) TO 's3://…' WITH (format = 'PARQUET')`.
    fn unload(&mut self) -> Result<Raw, DataFusionError> {
        self.parser.expect_token(&Token::LParen)?;
        let start = self.parser.index();
        let mut depth = 1;
        while depth > 0 {
            let token = self.parser.next_token();
            depth += match token.token {
                Token::LParen => 1,
                Token::RParen => -1,
                Token::EOF => return Ok(self.parser.expected(")", token)?),
                _ => 0,
            };
        }
        let query = self.query(&self.tokens[start..self.parser.index() - 1])?;
        self.parser.expect_keyword(Keyword::TO)?;
        let location = self.parser.parse_literal_string()?;
        let mut definition = Definition::default();
        if self.parser.parse_keyword(Keyword::WITH) {
            self.with(&mut definition)?;
        }
        self.end()?;
        let export = Export::new(location, &definition.properties, definition.partitioning);
        Ok(Raw::Export(query, export.map_err(|error| DataFusionError::External(error.into()))?))
    }

    /// The query behind AS, and whether its rows are wanted: `WITH NO DATA` may follow.
    fn rest(&mut self) -> Result<(Statement, bool), DataFusionError> {
        let mut rest = &self.tokens[self.parser.index()..];
        let mut with_data = true;
        for (words, wants) in [(["WITH", "NO", "DATA"].as_slice(), false), (&["WITH", "DATA"], true)] {
            let Some(start) = rest.len().checked_sub(words.len()) else { continue };
            if words.iter().zip(&rest[start..]).all(|(word, token)| is_word(token, word)) {
                (rest, with_data) = (&rest[..start], wants);
                break;
            }
        }
        Ok((self.query(rest)?, with_data))
    }

    fn query(&self, tokens: &[TokenWithSpan]) -> Result<Statement, DataFusionError> {
        let parser = DFParserBuilder::new(tokens.to_vec()).with_dialect(&Athena).with_recursion_limit(self.depth_max);
        let mut statements = parser.build()?.parse_statements()?;
        match statements.pop_front() {
            Some(query) if statements.is_empty() => Ok(query),
            _ => Err(ParserError::ParserError("expected a query".to_owned()).into()),
        }
    }

    /// `name type [COMMENT '…'], …)`.
    fn columns(&mut self) -> Result<Vec<arrow::datatypes::Field>> {
        let mut columns = Vec::new();
        loop {
            let (name, of) = (self.parser.parse_identifier()?.value, self.column_type()?);
            let comment = match self.parser.parse_keyword(Keyword::COMMENT) {
                true => Some(self.parser.parse_literal_string()?),
                false => None,
            };
            let column = definition::column(&name, &of, comment);
            columns.push(column.map_err(|error| ParserError::ParserError(error.to_string()))?);
            if !self.parser.consume_token(&Token::Comma) {
                self.parser.expect_token(&Token::RParen)?;
                return Ok(columns);
            }
        }
    }

    /// A type, up to the comma, the bracket or the word that ends it.
    fn column_type(&mut self) -> Result<Type> {
        let place = self.parser.peek_token();
        let text = self.type_text(iceberg_word)?;
        let known = lake::parse_type(&text).filter(|of| !matches!(of, Type::Primitive(PrimitiveType::Fixed(_))));
        match known {
            Some(of) => Ok(of),
            None => self.parser.expected(
                "a type that Iceberg has (string, int, bigint, double, decimal(p,s), date, timestamp, array<…>, …)",
                place,
            ),
        }
    }

    /// What stands up to the comma, the bracket or the word that ends a type, each of its words as `word` has it.
    fn type_text(&mut self, word_of: impl Fn(&str) -> String) -> Result<String> {
        let (mut text, mut depth) = (String::new(), 0_i32);
        loop {
            let token = self.parser.peek_token();
            let is_end = match &token.token {
                Token::EOF => true,
                Token::Comma | Token::RParen => depth == 0,
                Token::Word(word) => depth == 0 && !text.is_empty() && word.keyword == Keyword::COMMENT,
                _ => false,
            };
            if is_end {
                break;
            }
            match &token.token {
                Token::Lt | Token::LParen => depth += 1,
                Token::Gt | Token::RParen => depth -= 1,
                Token::ShiftRight => depth -= 2,
                _ => {}
            }
            match &token.token {
                Token::Word(word) => text.push_str(&word_of(&word.value)),
                other => text.push_str(&other.to_string()),
            }
            self.parser.next_token();
        }
        Ok(text)
    }

    /// `OPTIMIZE` has been read: `t REWRITE DATA USING BIN_PACK [WHERE condition]`.
    fn optimize(&mut self) -> Result<Writing> {
        let table = self.parser.parse_object_name(false)?;
        for word in ["REWRITE", "DATA", "USING", "BIN_PACK"] {
            let token = self.parser.next_token();
            if !is_word(&token, word) {
                return self.parser.expected("REWRITE DATA USING BIN_PACK", token);
            }
        }
        let selection = match self.parser.parse_keyword(Keyword::WHERE) {
            true => Some(Box::new(self.parser.parse_expr()?)),
            false => None,
        };
        Ok(Writing { table, act: Act::Optimize { selection } })
    }

    fn clauses(&mut self, definition: &mut Definition) -> Result<()> {
        loop {
            if self.parser.parse_keyword(Keyword::COMMENT) {
                definition.comment = Some(self.parser.parse_literal_string()?);
            } else if self.parser.parse_keywords(&[Keyword::PARTITIONED, Keyword::BY]) {
                definition.partitioning = self.partitioning()?;
            } else if self.parser.parse_keyword(Keyword::TBLPROPERTIES) {
                definition.properties = self.properties()?;
            } else if self.parser.peek_token().token == Token::EOF {
                return Ok(());
            } else {
                let found = self.parser.peek_token();
                return self
                    .parser
                    .expected("COMMENT, PARTITIONED BY or TBLPROPERTIES (S3 Tables chooses the location)", found);
            }
        }
    }

    /// `(region, day(ts), bucket(16, id))`, each as text.
    fn partitioning(&mut self) -> Result<Vec<String>> {
        self.parser.expect_token(&Token::LParen)?;
        let (mut fields, mut field, mut depth) = (Vec::new(), String::new(), 0);
        loop {
            let token = self.parser.next_token();
            match &token.token {
                Token::EOF => return self.parser.expected(")", token),
                Token::RParen if depth == 0 => break,
                Token::Comma if depth == 0 => fields.push(std::mem::take(&mut field)),
                other => {
                    depth += i32::from(*other == Token::LParen) - i32::from(*other == Token::RParen);
                    field.push_str(&other.to_string());
                }
            }
        }
        fields.push(field);
        Ok(fields)
    }

    /// `('name' = 'value', …)`.
    fn properties(&mut self) -> Result<Vec<(String, String)>> {
        self.parser.expect_token(&Token::LParen)?;
        let mut properties = Vec::new();
        loop {
            let name = self.parser.parse_literal_string()?;
            self.parser.expect_token(&Token::Eq)?;
            properties.push((name, self.parser.parse_literal_string()?));
            if !self.parser.consume_token(&Token::Comma) {
                self.parser.expect_token(&Token::RParen)?;
                return Ok(properties);
            }
        }
    }

    /// `(format = 'PARQUET', is_external = false, partitioning = ARRAY['day(ts)'])` of CREATE TABLE … AS.
    fn with(&mut self, definition: &mut Definition) -> Result<()> {
        self.parser.expect_token(&Token::LParen)?;
        loop {
            let name = self.parser.parse_identifier()?.value.to_lowercase();
            self.parser.expect_token(&Token::Eq)?;
            if name == "partitioning" || name == "partitioned_by" {
                definition.partitioning = self.array()?;
            } else {
                let token = self.parser.next_token();
                let value = match token.token {
                    Token::SingleQuotedString(text) => text,
                    Token::Word(word) => word.value,
                    Token::Number(number, _) => number,
                    _ => return self.parser.expected("a value", token),
                };
                definition.properties.push((name, value));
            }
            if !self.parser.consume_token(&Token::Comma) {
                return self.parser.expect_token(&Token::RParen).map(|_| ());
            }
        }
    }

    fn array(&mut self) -> Result<Vec<String>> {
        self.parser.expect_keyword(Keyword::ARRAY)?;
        self.parser.expect_token(&Token::LBracket)?;
        let values = self.parser.parse_comma_separated(Parser::parse_literal_string)?;
        self.parser.expect_token(&Token::RBracket)?;
        Ok(values)
    }

    fn drop_table(&mut self) -> Result<Writing> {
        let if_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        Ok(Writing { table: self.parser.parse_object_name(false)?, act: Act::Drop { if_exists } })
    }

    fn alter(&mut self) -> Result<Writing> {
        use Keyword::{ADD, CHANGE, COLUMN, COLUMNS, DROP, SET, TBLPROPERTIES};
        let table = self.parser.parse_object_name(false)?;
        let act = if self.parser.parse_keywords(&[ADD, COLUMNS]) {
            self.parser.expect_token(&Token::LParen)?;
            Act::Alter(self.additions()?)
        } else if self.parser.parse_keywords(&[DROP, COLUMN]) {
            Act::Alter(vec![SchemaChange::Drop { path: self.parser.parse_identifier()?.value.to_lowercase() }])
        } else if self.parser.parse_keywords(&[CHANGE, COLUMN]) {
            Act::Alter(self.change()?)
        } else if self.parser.parse_keywords(&[SET, TBLPROPERTIES]) {
            Act::SetProperties(self.properties()?)
        } else if self.parser.parse_keyword(ADD) {
            self.add_partitions()?
        } else if self.parser.parse_keyword(DROP) {
            self.drop_partitions()?
        } else {
            let found = self.parser.peek_token();
            return self.parser.expected("ADD COLUMNS, DROP COLUMN, CHANGE COLUMN or SET TBLPROPERTIES", found);
        };
        Ok(Writing { table, act })
    }

    fn additions(&mut self) -> Result<Vec<SchemaChange>> {
        let mut additions = Vec::new();
        loop {
            let path = self.parser.parse_identifier()?.value.to_lowercase();
            additions.push(SchemaChange::Add { path, field_type: self.column_type()? });
            if !self.parser.consume_token(&Token::Comma) {
                self.parser.expect_token(&Token::RParen)?;
                return Ok(additions);
            }
        }
    }

    /// `old new type`: another name, a wider type, or both.
    fn change(&mut self) -> Result<Vec<SchemaChange>> {
        let path = self.parser.parse_identifier()?.value.to_lowercase();
        let to = self.parser.parse_identifier()?.value.to_lowercase();
        let place = self.parser.peek_token();
        let Type::Primitive(wide) = self.column_type()? else {
            return self.parser.expected("a type that is not nested", place);
        };
        let mut changes = vec![SchemaChange::Widen { path: path.clone(), to: wide }];
        if to != path {
            changes.push(SchemaChange::Rename { path, to });
        }
        Ok(changes)
    }

    fn end(&mut self) -> Result<()> {
        let token = self.parser.peek_token();
        if token.token == Token::EOF { Ok(()) } else { self.parser.expected("the end of the statement", token) }
    }
}

fn iceberg_word(word: &str) -> String {
    let lower = word.to_lowercase();
    match TYPES.iter().find(|(athena, _)| *athena == lower) {
        Some((_, iceberg)) => (*iceberg).to_owned(),
        None => lower,
    }
}

fn is_word(token: &TokenWithSpan, word: &str) -> bool {
    matches!(&token.token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
}
