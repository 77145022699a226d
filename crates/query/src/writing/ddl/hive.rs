//! Hive's statements about external tables and their partitions, and those about views.

use std::collections::BTreeMap;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::offset;
use crate::external::{ColumnDefinition, ExternalDefinition, NewPartition, hive_type};
use crate::writing::ddl::{Reader, Result};
use crate::writing::{Act, Writing};

/// Classes that read rows, which we know how to.
const SERDES: [&str; 5] = [
    "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
    "org.apache.hadoop.hive.serde2.OpenCSVSerde",
    "org.openx.data.jsonserde.JsonSerDe",
    "org.apache.hive.hcatalog.data.JsonSerDe",
];

impl Reader<'_> {
    /// `CREATE EXTERNAL TABLE` has been read.
    pub(super) fn external_table(&mut self) -> Result<Writing> {
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let table = self.parser.parse_object_name(false)?;
        self.parser.expect_token(&Token::LParen)?;
        let mut definition = ExternalDefinition { columns: self.hive_columns()?, ..ExternalDefinition::default() };
        let mut format = None;
        loop {
            if self.parser.parse_keyword(Keyword::COMMENT) {
                definition.comment = Some(self.parser.parse_literal_string()?);
            } else if self.parser.parse_keywords(&[Keyword::PARTITIONED, Keyword::BY]) {
                self.parser.expect_token(&Token::LParen)?;
                definition.partition_columns = self.hive_columns()?;
            } else if self.parser.parse_keywords(&[Keyword::ROW, Keyword::FORMAT]) {
                self.row_format(&mut definition)?;
            } else if self.parser.parse_keywords(&[Keyword::STORED, Keyword::AS]) {
                if self.parser.parse_keyword(Keyword::INPUTFORMAT) {
                    definition.input_format = self.parser.parse_literal_string()?;
                    self.parser.expect_keyword(Keyword::OUTPUTFORMAT)?;
                    definition.output_format = self.parser.parse_literal_string()?;
                } else {
                    format = Some(self.parser.parse_identifier()?.value);
                }
            } else if self.parser.parse_keyword(Keyword::LOCATION) {
                definition.location = self.parser.parse_literal_string()?;
            } else if self.parser.parse_keyword(Keyword::TBLPROPERTIES) {
                definition.properties = self.properties()?.into_iter().collect();
            } else if self.parser.peek_token().token == Token::EOF {
                break;
            } else {
                let found = self.parser.peek_token();
                let clauses = "COMMENT, PARTITIONED BY, ROW FORMAT, STORED AS, LOCATION or TBLPROPERTIES";
                return self.parser.expected(clauses, found);
            }
        }
        let format = format.unwrap_or_else(|| "TEXTFILE".to_owned());
        let has_format = !definition.input_format.is_empty();
        let definition = if has_format { Some(definition) } else { definition.stored_as(&format) };
        let refused =
            || ParserError::ParserError(format!("STORED AS {format} is not served. Try: PARQUET or TEXTFILE"));
        let mut definition = definition.ok_or_else(refused)?;
        if definition.serde.is_empty() {
            definition.serde =
                SERDES[usize::from(!definition.input_format.to_lowercase().contains("parquet"))].to_owned();
        }
        check(&definition)?;
        Ok(Writing { table, act: Act::CreateExternal { definition: Box::new(definition), if_not_exists } })
    }

    fn hive_columns(&mut self) -> Result<Vec<ColumnDefinition>> {
        let mut columns = Vec::new();
        loop {
            let name = self.parser.parse_identifier()?.value.to_lowercase();
            let place = self.parser.peek_token();
            let type_name = self.type_text(|word| word.to_lowercase())?;
            if hive_type(&type_name).is_none() {
                return self.parser.expected("a type that Hive has (string, int, decimal(p,s), array<…>, …)", place);
            }
            let comment = match self.parser.parse_keyword(Keyword::COMMENT) {
                true => Some(self.parser.parse_literal_string()?),
                false => None,
            };
            columns.push(ColumnDefinition { name, type_name, comment });
            if !self.parser.consume_token(&Token::Comma) {
                self.parser.expect_token(&Token::RParen)?;
                return Ok(columns);
            }
        }
    }

    fn row_format(&mut self, definition: &mut ExternalDefinition) -> Result<()> {
        if self.parser.parse_keyword(Keyword::SERDE) {
            let place = self.parser.peek_token();
            definition.serde = self.parser.parse_literal_string()?;
            if !SERDES.contains(&definition.serde.as_str()) {
                return self.parser.expected(&format!("one of {}", SERDES.join(", ")), place);
            }
            if self.parser.parse_keywords(&[Keyword::WITH, Keyword::SERDEPROPERTIES]) {
                definition.serde_properties = self.properties()?.into_iter().collect();
            }
            return Ok(());
        }
        self.parser.expect_keyword(Keyword::DELIMITED)?;
        let clauses: [(&[Keyword], &str); 6] = [
            (&[Keyword::FIELDS, Keyword::TERMINATED, Keyword::BY], "field.delim"),
            (&[Keyword::ESCAPED, Keyword::BY], "escape.delim"),
            (&[Keyword::COLLECTION, Keyword::ITEMS, Keyword::TERMINATED, Keyword::BY], "collection.delim"),
            (&[Keyword::MAP, Keyword::KEYS, Keyword::TERMINATED, Keyword::BY], "mapkey.delim"),
            (&[Keyword::LINES, Keyword::TERMINATED, Keyword::BY], "line.delim"),
            (&[Keyword::NULL, Keyword::DEFINED, Keyword::AS], "serialization.null.format"),
        ];
        while let Some((_, name)) = clauses.iter().find(|(words, _)| self.parser.parse_keywords(words)) {
            let value = unescaped(&self.parser.parse_literal_string()?);
            definition.serde_properties.insert((*name).to_owned(), value);
        }
        Ok(())
    }

    /// `ALTER TABLE t ADD` has been read.
    pub(super) fn add_partitions(&mut self) -> Result<Act> {
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let mut partitions = Vec::new();
        while self.parser.parse_keyword(Keyword::PARTITION) {
            let values = self.partition_values()?;
            let location = match self.parser.parse_keyword(Keyword::LOCATION) {
                true => Some(self.parser.parse_literal_string()?),
                false => None,
            };
            partitions.push(NewPartition { values, location });
            let _ = self.parser.consume_token(&Token::Comma);
        }
        match partitions.is_empty() {
            true => self.parser.expected("PARTITION (name = 'value')", self.parser.peek_token()),
            false => Ok(Act::AddPartitions { partitions, if_not_exists }),
        }
    }

    /// `ALTER TABLE t DROP` has been read.
    pub(super) fn drop_partitions(&mut self) -> Result<Act> {
        let if_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        let mut values = Vec::new();
        while self.parser.parse_keyword(Keyword::PARTITION) {
            values.push(self.partition_values()?);
            let _ = self.parser.consume_token(&Token::Comma);
        }
        Ok(Act::DropPartitions { values, if_exists })
    }

    /// `(year = '2026', month = 11)`.
    fn partition_values(&mut self) -> Result<Vec<(String, String)>> {
        self.parser.expect_token(&Token::LParen)?;
        let mut values = Vec::new();
        loop {
            let name = self.parser.parse_identifier()?.value.to_lowercase();
            self.parser.expect_token(&Token::Eq)?;
            let token = self.parser.next_token();
            let value = match token.token {
                Token::SingleQuotedString(text) | Token::Number(text, _) => text,
                _ => return self.parser.expected("a value", token),
            };
            values.push((name, value));
            if !self.parser.consume_token(&Token::Comma) {
                self.parser.expect_token(&Token::RParen)?;
                return Ok(values);
            }
        }
    }

    /// `CREATE [OR REPLACE] VIEW` has been read.
    pub(super) fn view(&mut self, or_replace: bool) -> Result<Writing, DataFusionError> {
        let table = self.parser.parse_object_name(false)?;
        self.parser.expect_keyword(Keyword::AS)?;
        let rest = &self.tokens[self.parser.index()..];
        let query = self.query(rest)?;
        let sql = match (rest.first(), rest.last()) {
            (Some(first), Some(last)) => {
                let start = offset(self.sql, first.span.start.line, first.span.start.column);
                let end = offset(self.sql, last.span.end.line, last.span.end.column);
                self.sql[start..end].to_owned()
            }
            _ => String::new(),
        };
        Ok(Writing { table, act: Act::CreateView { sql, query: Box::new(query), or_replace } })
    }
}

fn check(definition: &ExternalDefinition) -> Result<()> {
    let refused = |message: &str| Err(ParserError::ParserError(message.to_owned()));
    if definition.location.is_empty() {
        return refused("an external table has a location. Try: LOCATION 's3://bucket/prefix/'");
    }
    let mut names = BTreeMap::new();
    for column in definition.columns.iter().chain(&definition.partition_columns) {
        if names.insert(column.name.as_str(), ()).is_some() {
            return refused(&format!("column {} is there twice", column.name));
        }
    }
    Ok(())
}

/// `\t` and `\001` as Hive has them.
fn unescaped(text: &str) -> String {
    match text {
        "\\t" => "\t".to_owned(),
        "\\n" => "\n".to_owned(),
        "\\\\" => "\\".to_owned(),
        _ => {
            let octal = text.strip_prefix('\\').filter(|digits| digits.len() == 3);
            let code = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
            code.map_or_else(|| text.to_owned(), |code| char::from(code).to_string())
        }
    }
}
