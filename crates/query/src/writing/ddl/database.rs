//! `CREATE SCHEMA` and `DROP SCHEMA`, which may be said of a DATABASE too.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::{Reader, Result};
use crate::own_tables::DatabaseDefinition;
use crate::writing::database::{DatabaseAct, DatabaseChange};

impl Reader<'_> {
    /// `None` where the statement is about something else.
    pub(super) fn database(&mut self) -> Result<Option<DatabaseChange>> {
        use Keyword::{CREATE, DATABASE, DROP, SCHEMA};
        let is_create =
            if self.parser.parse_keywords(&[CREATE, SCHEMA]) || self.parser.parse_keywords(&[CREATE, DATABASE]) {
                true
            } else if self.parser.parse_keywords(&[DROP, SCHEMA]) || self.parser.parse_keywords(&[DROP, DATABASE]) {
                false
            } else {
                return Ok(None);
            };
        let change = if is_create { self.create_database() } else { self.drop_database() };
        let change = change?;
        self.end()?;
        Ok(Some(change))
    }

    fn create_database(&mut self) -> Result<DatabaseChange> {
        let if_not_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
        let database = self.parser.parse_object_name(false)?;
        let mut definition = DatabaseDefinition::default();
        loop {
            if self.parser.parse_keyword(Keyword::COMMENT) {
                definition.comment = Some(self.parser.parse_literal_string()?);
            } else if self.parser.parse_keyword(Keyword::LOCATION) {
                definition.location = Some(self.parser.parse_literal_string()?);
            } else if self.parser.parse_keyword(Keyword::WITH) {
                let word = self.parser.parse_identifier()?;
                if !word.value.eq_ignore_ascii_case("DBPROPERTIES") {
                    return self.parser.expected("DBPROPERTIES", self.parser.peek_token());
                }
                definition.properties = self.properties()?;
            } else if self.parser.peek_token().token == Token::EOF {
                return Ok(DatabaseChange { database, act: DatabaseAct::Create { definition, if_not_exists } });
            } else {
                let found = self.parser.peek_token();
                return self.parser.expected("COMMENT, LOCATION or WITH DBPROPERTIES", found);
            }
        }
    }

    fn drop_database(&mut self) -> Result<DatabaseChange> {
        let if_exists = self.parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
        let database = self.parser.parse_object_name(false)?;
        let with_tables = self.parser.parse_keyword(Keyword::CASCADE);
        if !with_tables {
            // It is what happens anyway.
            let _ = self.parser.parse_keyword(Keyword::RESTRICT);
        }
        Ok(DatabaseChange { database, act: DatabaseAct::Drop { if_exists, with_tables } })
    }
}
