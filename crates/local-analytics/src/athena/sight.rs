//! What the caller's grants let a query see.

use aws_wire::Identity;
use query::{Answer, Engine};

use crate::athena::Athena;
use crate::athena::failure::Failure;
use crate::athena::run::Place;
use crate::lakehouse::Region;

impl Athena {
    /// Grants have another version after every change.
    pub(super) fn policy_version(&self) -> u64 {
        self.grants.version()
    }

    /// Asks the engine on behalf of `identity`, with the grants of this moment.
    pub(super) async fn ask(
        &self,
        engine: &Engine,
        sql: &str,
        region: &Region,
        identity: &Identity,
        place: &Place,
    ) -> Result<Answer, Failure> {
        let query = query::parse_one(sql).map_err(|error| Failure::of_query(&error))?;
        let sight = self.grants.sight(region, identity, place.table_bucket.as_deref());
        let sight = sight.map_err(|error| Failure::of_engine(error.to_string()))?;
        engine.answer_within(query, &sight).await.map_err(|error| Failure::of_query(&error))
    }
}
