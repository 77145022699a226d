//! Lets a client in: who it is, and which catalog it means.
//!
//! The user is an access key id, the password its secret, the database a table bucket or `awsdatacatalog`.

use std::io;
use std::time::Duration;

use aws_wire::{Authentication, DEFAULT_REGION, Identity};
use query::{Connection, Context};

use crate::catalogs::{CatalogName, DEFAULT_CATALOG};
use crate::lakehouse::Region;
use crate::postgres::Postgres;
use crate::postgres::backend::{Backend, Transaction};
use crate::postgres::cancel::Key;
use crate::postgres::failure::{Failure, INTERNAL, NO_DATABASE, PROTOCOL, UNSUPPORTED, WRONG_PASSWORD};
use crate::postgres::frontend::{Frontend, Message, Opening};
use crate::postgres::settings::Settings;
use crate::view::View;

/// How long a client may take to come in.
const STARTUP_TIME_MAX: Duration = Duration::from_secs(60);
const REGION: &str = "dynaberg.region";

/// A client that has been let in.
pub(super) struct Client {
    pub identity: Identity,
    pub region: Region,
    pub connection: Connection,
    pub settings: Settings,
    pub key: Key,
}

/// Answers what a connection begins with; `None` where there is nobody to talk to afterwards.
pub(super) async fn start(
    postgres: &Postgres,
    frontend: &mut Frontend,
    backend: &mut Backend,
) -> io::Result<Option<Client>> {
    let entering = enter(postgres, frontend, backend);
    match tokio::time::timeout(STARTUP_TIME_MAX, entering).await.unwrap_or(Ok(Entered::Gone))? {
        Entered::Client(client) => Ok(Some(*client)),
        Entered::Gone => Ok(None),
        Entered::Refused(failure) => {
            backend.error(&failure.fatal()).await?;
            backend.flush().await?;
            Ok(None)
        }
    }
}

enum Entered {
    Client(Box<Client>),
    Refused(Failure),
    Gone,
}

async fn enter(postgres: &Postgres, frontend: &mut Frontend, backend: &mut Backend) -> io::Result<Entered> {
    let (major, minor, parameters) = loop {
        match frontend.opening().await? {
            Opening::Encryption => backend.refuse_encryption().await?,
            Opening::Cancel { process, secret } => {
                postgres.cancellations.cancel(Key { process, secret });
                return Ok(Entered::Gone);
            }
            Opening::Startup { major, minor, parameters } => break (major, minor, parameters),
        }
    };
    if major != 3 {
        return Ok(Entered::Refused(Failure::new(UNSUPPORTED, format!("protocol {major}.{minor} is not served here"))));
    }
    if minor > 0 {
        backend.negotiate(0).await?;
    }
    let find = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let user = find("user").unwrap_or_default().to_owned();
    let identity = match &postgres.authentication {
        Authentication::Dev => postgres.authentication.sign_in(&user, ""),
        Authentication::Strict(_) => {
            backend.ask_for_password().await?;
            match frontend.message().await? {
                Some(Message::Password(password)) => postgres.authentication.sign_in(&user, &password),
                Some(_) => return Ok(Entered::Refused(Failure::new(PROTOCOL, "a password was expected"))),
                None => return Ok(Entered::Gone),
            }
        }
    };
    let Some(identity) = identity else {
        let failure = Failure::new(WRONG_PASSWORD, format!("authentication failed for user \"{user}\""));
        return Ok(Entered::Refused(failure.try_instead("an access key id as the user, its secret as the password")));
    };
    let client = match client(postgres, identity, &user, &parameters).await {
        Ok(client) => client,
        Err(failure) => return Ok(Entered::Refused(failure)),
    };
    backend.authenticated().await?;
    for (name, value) in client.settings.reported(&client.connection) {
        backend.parameter_status(name, &value).await?;
    }
    backend.key(client.key).await?;
    backend.ready(Transaction::None).await?;
    Ok(Entered::Client(Box::new(client)))
}

async fn client(
    postgres: &Postgres,
    identity: Identity,
    user: &str,
    parameters: &[(String, String)],
) -> Result<Client, Failure> {
    let find = |name: &str| parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let options = options(find("options").unwrap_or_default());
    let region = options.iter().find(|(name, _)| *name == REGION).map_or(DEFAULT_REGION, |(_, value)| *value);
    let mut settings = Settings::new(region);
    let region = Region { account_id: identity.account_id.clone(), name: region.to_owned() };
    let buckets = table_buckets(postgres, &region, &identity).await?;
    let asked = find("database").unwrap_or(user);
    let (database, catalog) = database(asked, user, &buckets)?;
    let databases = buckets.into_iter().chain([DEFAULT_CATALOG.to_lowercase()]).collect();
    let context = Context { catalog: Some(catalog), ..Context::default() };
    let mut connection = Connection { user: user.to_owned(), database, databases, context };
    let given =
        parameters.iter().filter(|(name, _)| !["user", "database", "options", "replication"].contains(&&**name));
    let given = given.map(|(name, value)| (name.as_str(), value.as_str()));
    // A reserved prefix of the protocol: nobody is told of what is not known.
    let given = given.filter(|(name, _)| !name.starts_with("_pq_."));
    for (name, value) in given.chain(options.into_iter().filter(|(name, _)| *name != REGION)) {
        settings.set(&mut connection, name, Some(value))?;
    }
    Ok(Client { identity, region, connection, settings, key: Key::new(&postgres.ambient) })
}

async fn table_buckets(postgres: &Postgres, region: &Region, identity: &Identity) -> Result<Vec<String>, Failure> {
    let (athena, region, identity) = (postgres.athena.clone(), region.clone(), identity.clone());
    let listed = tokio::task::spawn_blocking(move || {
        let (store, lakehouse, grants) = athena.neighbours();
        View { store, lakehouse, grants, region: &region, identity: &identity }.table_buckets()
    });
    let listed = listed.await.map_err(|error| Failure::new(INTERNAL, error.to_string()))?;
    listed.map_err(|error| Failure::new(INTERNAL, error.to_string()))
}

/// The name of the database that is meant, and of the catalog that it is.
fn database(asked: &str, user: &str, buckets: &[String]) -> Result<(String, String), Failure> {
    let of_bucket = |bucket: &String| (bucket.clone(), CatalogName::TableBucket(bucket.clone()).path());
    let default = || (DEFAULT_CATALOG.to_lowercase(), DEFAULT_CATALOG.to_owned());
    let bucket = asked.strip_prefix("s3tablescatalog/").unwrap_or(asked);
    match buckets.iter().find(|known| *known == bucket) {
        Some(bucket) => Ok(of_bucket(bucket)),
        None if asked.eq_ignore_ascii_case(DEFAULT_CATALOG) => Ok(default()),
        // What drivers ask for where nobody said: the user's name, or the database that PostgreSQL always has.
        None if asked == user || asked == "postgres" => match buckets {
            [only] => Ok(of_bucket(only)),
            _ => Ok(default()),
        },
        None => {
            let names: Vec<&str> = buckets.iter().map(String::as_str).chain(["awsdatacatalog"]).collect();
            let failure = Failure::new(NO_DATABASE, format!("database \"{asked}\" does not exist"));
            Err(failure.try_instead(names.join(", ")))
        }
    }
}

/// `-c name=value`, as PGOPTIONS has them.
fn options(text: &str) -> Vec<(&str, &str)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut options = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let setting = match word.strip_prefix("-c") {
            Some("") => words.get(index + 1).copied(),
            Some(joined) => Some(joined),
            None => word.strip_prefix("--"),
        };
        options.extend(setting.and_then(|setting| setting.split_once('=')));
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_a_table_bucket() {
        let buckets = ["lake".to_owned()];
        let name = |asked: &str, buckets: &[String]| database(asked, "ana", buckets).map(|(_, catalog)| catalog);
        assert_eq!(name("lake", &buckets).unwrap(), "s3tablescatalog/lake");
        assert_eq!(name("s3tablescatalog/lake", &buckets).unwrap(), "s3tablescatalog/lake");
        assert_eq!(name("AwsDataCatalog", &buckets).unwrap(), "AwsDataCatalog");
        assert_eq!(name("ana", &buckets).unwrap(), "s3tablescatalog/lake");
        assert_eq!(name("postgres", &[]).unwrap(), "AwsDataCatalog");
        assert_eq!(name("pond", &buckets).unwrap_err().code, NO_DATABASE);
        assert_eq!(options("-c a=1 -cb=2 --c=3"), [("a", "1"), ("b", "2"), ("c", "3")]);
    }
}
