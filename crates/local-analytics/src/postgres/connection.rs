//! Answers the messages of one client, one after the other.
//!
//! A Query message holds whole statements. In the extended protocol Parse makes a statement, Bind gives it its parameters,
//! Describe and Execute ask the portal that this makes. After an error everything up to the next Sync is passed over.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use query::PgType;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::postgres::Postgres;
use crate::postgres::backend::{Backend, Field, Transaction, put_value};
use crate::postgres::command::{self, Command, Done};
use crate::postgres::failure::{
    Failure, IN_FAILED_TRANSACTION, NO_PORTAL, NO_STATEMENT, PROTOCOL, TOO_MANY, UNSUPPORTED,
};
use crate::postgres::frontend::{Bind, Frontend, Message, Target};
use crate::postgres::parameter::{self, UNKNOWN};
use crate::postgres::run::{Limits, Progress, Running, Unfinished, Wanted, shutting_down};
use crate::postgres::startup::{self, Client};
use crate::postgres::statement::{Kind, Statement};

/// Statements and portals that a client may keep at a time.
const KEPT_MAX: usize = 1000;

type Outcome<T = ()> = Result<T, Unfinished>;

/// Talks with a client until one of the two ends it.
pub(super) async fn serve(postgres: Postgres, socket: TcpStream, shutdown: CancellationToken) {
    let (input, output) = socket.into_split();
    let (mut frontend, mut backend) = (Frontend::new(input), Backend::new(output));
    let talk = async {
        let Ok(_place) = postgres.places.clone().try_acquire_owned() else {
            let failure = Failure::new(TOO_MANY, "too many connections").try_instead("closing some").fatal();
            backend.error(&failure).await?;
            return backend.flush().await;
        };
        let client = tokio::select! {
            client = startup::start(&postgres, &mut frontend, &mut backend) => client?,
            () = shutdown.cancelled() => None,
        };
        let Some(client) = client else { return Ok(()) };
        let mut talk = Connection {
            postgres: &postgres,
            client,
            frontend,
            backend,
            shutdown,
            kept: Kept::default(),
            transaction: Transaction::None,
        };
        let ended = talk.talk().await;
        postgres.cancellations.end(talk.client.key);
        ended
    };
    if let Err(error) = talk.await {
        tracing::debug!(%error, "a connection of PostgreSQL's protocol has ended");
    }
}

struct Connection<'a> {
    postgres: &'a Postgres,
    client: Client,
    frontend: Frontend,
    backend: Backend,
    shutdown: CancellationToken,
    kept: Kept,
    transaction: Transaction,
}

/// What the client has made, by the names that it gave.
#[derive(Default)]
struct Kept {
    statements: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Portal>,
}

struct Prepared {
    statement: Statement,
    /// The OIDs of the parameters; zero where the client did not say.
    types: Vec<i32>,
}

/// A statement with its parameters.
struct Portal {
    prepared: Arc<Prepared>,
    literals: Vec<String>,
    formats: Vec<i16>,
    running: Option<Running>,
    /// Nothing more comes of it.
    is_done: bool,
}

impl Connection<'_> {
    async fn talk(&mut self) -> io::Result<()> {
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => {
                    self.backend.error(&shutting_down()).await?;
                    return self.backend.flush().await;
                }
                readable = self.frontend.readable() => readable?,
            }
            let message = match self.frontend.message().await {
                Ok(None | Some(Message::Terminate)) => return Ok(()),
                Ok(Some(message)) => message,
                Err(error) => {
                    self.backend.error(&Failure::new(PROTOCOL, error.to_string()).fatal()).await?;
                    return self.backend.flush().await;
                }
            };
            let is_simple = matches!(message, Message::Query(_));
            let answered = self.answer(message).await;
            let failure = match answered {
                Ok(()) => None,
                Err(Unfinished::Gone(error)) => return Err(error),
                Err(Unfinished::Failed(failure)) => Some(failure),
            };
            if let Some(failure) = &failure {
                self.backend.error(failure).await?;
                if failure.is_fatal {
                    return self.backend.flush().await;
                }
                if self.transaction == Transaction::Open {
                    self.transaction = Transaction::Failed;
                }
            }
            if is_simple {
                self.backend.ready(self.transaction).await?;
            } else if failure.is_some() && !self.pass_over().await? {
                return Ok(());
            }
        }
    }

    async fn answer(&mut self, message: Message) -> Outcome {
        match message {
            Message::Query(text) => self.simple(&text).await,
            Message::Parse { statement, sql, types } => self.parse(statement, &sql, types).await,
            Message::Bind(bind) => self.bind(&bind).await,
            Message::Describe(target) => self.describe(target).await,
            Message::Execute { portal, rows_max } => self.execute(&portal, rows_max).await,
            Message::Close(target) => {
                match target {
                    Target::Statement(name) => drop(self.kept.statements.remove(&name)),
                    Target::Portal(name) => drop(self.kept.portals.remove(&name)),
                }
                Ok(self.backend.close_complete().await?)
            }
            Message::Flush => Ok(self.backend.flush().await?),
            Message::Sync => self.sync().await,
            Message::Password(_) | Message::Terminate => {
                Err(Failure::new(PROTOCOL, "the message does not belong here").into())
            }
            Message::Other(tag) => {
                let message = format!("messages of the kind {:?} are not served here", char::from(tag));
                Err(Failure::new(UNSUPPORTED, message).try_instead("SELECT").into())
            }
        }
    }

    /// Answers the statements of a text; the first that fails ends it.
    async fn simple(&mut self, text: &str) -> Outcome {
        let statements = Statement::read_all(text);
        if statements.is_empty() {
            return Ok(self.backend.empty().await?);
        }
        for statement in statements {
            self.check_transaction(&statement)?;
            if let Kind::Command(command) = &statement.kind
                && self.command(command, true).await?
            {
                continue;
            }
            let mut running = self.start(&statement, &[]).await?;
            let fields = running.fields(&[]);
            if running.wrote().is_none() {
                self.backend.fields(&fields).await?;
            }
            self.send(&statement, &mut running, &fields, 0).await?;
        }
        Ok(())
    }

    async fn parse(&mut self, name: String, sql: &str, types: Vec<i32>) -> Outcome {
        let statement = Statement::read_one(sql)?;
        self.check_kept(self.kept.statements.len())?;
        let count = query::parameter_count(&statement.sql).max(types.len());
        let types = (0..count).map(|index| types.get(index).copied().unwrap_or(UNKNOWN)).collect();
        self.kept.statements.insert(name, Arc::new(Prepared { statement, types }));
        Ok(self.backend.parse_complete().await?)
    }

    async fn bind(&mut self, bind: &Bind) -> Outcome {
        let prepared = self.statement(&bind.statement)?;
        if bind.values.len() != prepared.types.len() {
            let (given, wanted) = (bind.values.len(), prepared.types.len());
            let message = format!("the statement has {wanted} parameters, and {given} values were given");
            return Err(Failure::new(PROTOCOL, message).try_instead("a value for each $1, $2, …").into());
        }
        let literals = parameter::literals(bind, &prepared.types)?;
        self.check_kept(self.kept.portals.len())?;
        let formats = bind.result_formats.clone();
        let portal = Portal { prepared, literals, formats, running: None, is_done: false };
        self.kept.portals.insert(bind.portal.clone(), portal);
        Ok(self.backend.bind_complete().await?)
    }

    async fn describe(&mut self, target: Target) -> Outcome {
        match target {
            Target::Statement(name) => {
                let prepared = self.statement(&name)?;
                let known = |oid: &i32| if *oid == UNKNOWN { PgType::TEXT.oid } else { *oid };
                self.backend.parameters(&prepared.types.iter().map(known).collect::<Vec<_>>()).await?;
                if let Some(fields) = self.fields_of_command(&prepared.statement) {
                    return self.describe_fields(&fields).await;
                }
                if !is_read_only(&prepared.statement) {
                    return Ok(self.backend.no_data().await?);
                }
                // It is begun without its values, to see what columns it has, and left.
                let nulls = vec!["NULL".to_owned(); prepared.types.len()];
                let running = self.start(&prepared.statement, &nulls).await?;
                self.describe_fields(&running.fields(&[])).await
            }
            Target::Portal(name) => {
                let portal = self.portal(&name)?;
                let (prepared, literals) = (portal.prepared.clone(), portal.literals.clone());
                if let Some(fields) = self.fields_of_command(&prepared.statement) {
                    return self.describe_fields(&fields).await;
                }
                if !is_read_only(&prepared.statement) {
                    return Ok(self.backend.no_data().await?);
                }
                self.check_transaction(&prepared.statement)?;
                let running = self.start(&prepared.statement, &literals).await?;
                let portal = self.portal(&name)?;
                let fields = running.fields(&portal.formats);
                portal.running = Some(running);
                self.describe_fields(&fields).await
            }
        }
    }

    async fn execute(&mut self, name: &str, rows_max: usize) -> Outcome {
        let portal = self.portal(name)?;
        if portal.is_done {
            // A portal that has ended gives no more rows.
            let tag = portal.prepared.statement.tag(Some(0));
            return Ok(self.backend.complete(&tag).await?);
        }
        let (prepared, literals) = (portal.prepared.clone(), portal.literals.clone());
        let (running, formats) = (portal.running.take(), portal.formats.clone());
        portal.is_done = true;
        let statement = &prepared.statement;
        self.check_transaction(statement)?;
        match &statement.kind {
            Kind::Empty => return Ok(self.backend.empty().await?),
            Kind::Command(command) if self.command(command, false).await? => return Ok(()),
            _ => {}
        }
        let mut running = match running {
            Some(running) => running,
            None => self.start(statement, &literals).await?,
        };
        let fields = running.fields(&formats);
        if let Progress::Suspended = self.send(statement, &mut running, &fields, rows_max).await? {
            let portal = self.portal(name)?;
            portal.running = Some(running);
            portal.is_done = false;
        }
        Ok(())
    }

    /// Ends what belongs together.
    async fn sync(&mut self) -> Outcome {
        // Outside of a transaction nothing outlives it.
        if self.transaction == Transaction::None {
            self.kept.portals.clear();
        }
        Ok(self.backend.ready(self.transaction).await?)
    }

    async fn start(&mut self, statement: &Statement, literals: &[String]) -> Outcome<Running> {
        let stop = self.postgres.cancellations.begin(self.client.key);
        let is_in_transaction = self.transaction != Transaction::None;
        let mut limits = Limits { stop: &stop, shutdown: &self.shutdown, frontend: &mut self.frontend };
        let started = self.postgres.start(&self.client, statement, literals, is_in_transaction);
        Ok(limits.hold(&self.client, started).await??)
    }

    /// Sends rows, and how it ended.
    async fn send(
        &mut self,
        statement: &Statement,
        running: &mut Running,
        fields: &[Field],
        rows_max: usize,
    ) -> Outcome<Progress> {
        let stop = self.postgres.cancellations.begin(self.client.key);
        let mut limits = Limits { stop: &stop, shutdown: &self.shutdown, frontend: &mut self.frontend };
        if let Some(rows) = running.wrote() {
            self.backend.complete(&statement.tag(rows)).await?;
            return Ok(Progress::Ended(rows.unwrap_or_default()));
        }
        let sent = self.postgres.send(
            &self.client,
            statement,
            running,
            Wanted { fields, rows_max },
            &mut self.backend,
            &mut limits,
        );
        let progress = sent.await?;
        match progress {
            Progress::Ended(rows) => self.backend.complete(&statement.tag(Some(rows))).await?,
            Progress::Suspended => self.backend.suspended().await?,
        }
        Ok(progress)
    }

    /// Carries a command out. Tells whether it was one: `SHOW TABLES` is the engine's.
    async fn command(&mut self, command: &Command, is_described: bool) -> Outcome<bool> {
        let Client { settings, connection, .. } = &mut self.client;
        match command::run(command, &mut self.transaction, settings, connection)? {
            Done::NotOurs => return Ok(false),
            Done::Tag(tag) => self.backend.complete(tag).await?,
            Done::Setting(name, value) => {
                if is_described {
                    self.backend.fields(&[setting_field(&name)]).await?;
                }
                self.backend.row(1, |message| put_value(message, Some(value.as_bytes()))).await?;
                self.backend.complete("SHOW").await?;
            }
        }
        Ok(true)
    }

    /// The columns of a command, which may be none; `None` where the engine knows them.
    fn fields_of_command(&self, statement: &Statement) -> Option<Vec<Field>> {
        match &statement.kind {
            Kind::Empty => Some(Vec::new()),
            Kind::Command(Command::Show(name)) => {
                let shown = self.client.settings.show(&self.client.connection, name);
                shown.map(|_| vec![setting_field(&name.replace(' ', "_"))])
            }
            Kind::Command(_) => Some(Vec::new()),
            Kind::Catalog(_) | Kind::Sql => None,
        }
    }

    async fn describe_fields(&mut self, fields: &[Field]) -> Outcome {
        match fields {
            [] => Ok(self.backend.no_data().await?),
            fields => Ok(self.backend.fields(fields).await?),
        }
    }

    /// In a failed transaction only its end is carried out.
    fn check_transaction(&self, statement: &Statement) -> Result<(), Failure> {
        let ends = matches!(statement.kind, Kind::Command(Command::Commit | Command::Rollback) | Kind::Empty);
        if self.transaction != Transaction::Failed || ends {
            return Ok(());
        }
        let message = "current transaction is aborted, commands ignored until end of transaction block";
        Err(Failure::new(IN_FAILED_TRANSACTION, message).try_instead("ROLLBACK"))
    }

    fn check_kept(&self, count: usize) -> Result<(), Failure> {
        if count < KEPT_MAX {
            return Ok(());
        }
        Err(Failure::new("54000", format!("a connection keeps {KEPT_MAX} statements")).try_instead("closing some"))
    }

    fn statement(&self, name: &str) -> Result<Arc<Prepared>, Failure> {
        let found = self.kept.statements.get(name).cloned();
        found.ok_or_else(|| Failure::new(NO_STATEMENT, format!("prepared statement \"{name}\" does not exist")))
    }

    fn portal(&mut self, name: &str) -> Result<&mut Portal, Failure> {
        let found = self.kept.portals.get_mut(name);
        found.ok_or_else(|| Failure::new(NO_PORTAL, format!("portal \"{name}\" does not exist")))
    }

    /// Passes over what came behind an error, up to Sync. Tells whether the client is still there.
    async fn pass_over(&mut self) -> io::Result<bool> {
        self.backend.flush().await?;
        loop {
            match self.frontend.message().await? {
                None | Some(Message::Terminate) => return Ok(false),
                Some(Message::Sync) => {
                    if self.transaction == Transaction::None {
                        self.kept.portals.clear();
                    }
                    self.backend.ready(self.transaction).await?;
                    return Ok(true);
                }
                Some(_) => {}
            }
        }
    }
}

/// What can be begun to see its columns, and left.
fn is_read_only(statement: &Statement) -> bool {
    match &statement.kind {
        Kind::Sql => {
            let nulls = vec!["NULL".to_owned(); query::parameter_count(&statement.sql)];
            // What cannot be read says so when it is started.
            query::parse_with_parameters(&statement.sql, &nulls).map_or(true, |query| query.is_read_only())
        }
        _ => true,
    }
}

fn setting_field(name: &str) -> Field {
    Field { name: name.to_owned(), known: PgType::TEXT, is_binary: false }
}
