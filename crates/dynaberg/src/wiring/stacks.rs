//! The blog's stacks as declarations, on AWS and on the embedded services.

use std::path::{Path, PathBuf};
use std::time::Duration;

use provision::stack::{self, Context, Misread, Stack, StreamType};
use provision::{Declaration, Resource, Services, Sign};

use super::deployed::ConsolePipeline;
use crate::aws::Aws;
use crate::cli::ContextArgs;
use crate::failure::{Exit, Failure, Outcome};

const CONTEXT: &str = "DYN605";
const MISSING_EXPORT: &str = "DYN606";

/// The stacks of one context file, at one endpoint.
pub struct Stacks {
    pub context: Context,
    pub services: Services,
    /// The principal that writes the table.
    pub writer: String,
    /// Of the `dev` that the endpoint belongs to; on AWS there is none.
    console: Option<String>,
    path: PathBuf,
}

impl Stacks {
    pub async fn open(arguments: &ContextArgs, aws: &Aws) -> Outcome<Self> {
        let context = read(&arguments.context)?;
        let services = aws.services().await?;
        let role = format!("arn:aws:iam::{}:role/dynaberg-{}", services.caller.account, context.table_name);
        let writer = arguments.writer.clone().unwrap_or(role);
        let console = is_embedded(aws).await.then(|| arguments.console.console.clone());
        Ok(Self { context, services, writer, console, path: arguments.context.clone() })
    }

    pub fn declare(&self, stack: Stack) -> Declaration {
        stack::declare(stack, &self.context, &self.writer, self.pipeline(), &self.services)
    }

    pub async fn declare_to_destroy(&self, stack: Stack) -> Outcome<Declaration> {
        let (context, services) = (&self.context, &self.services);
        Ok(stack::declare_to_destroy(stack, context, &self.writer, self.pipeline(), services).await?)
    }

    /// Refuses a stack before those that it imports from, and names what is missing.
    pub async fn check_imports(&self, stack: Stack) -> Outcome {
        for needed in stack.needs() {
            let plan = provision::plan(&self.declare(*needed), &self.services).await?;
            if let Some(missing) = plan.steps.iter().find(|step| step.sign == Sign::Add) {
                let message = format!(
                    "{MISSING_EXPORT} {} imports {} of {}, where {} {} is missing",
                    stack.name(),
                    stack::export_of(missing.kind),
                    needed.name(),
                    missing.kind,
                    missing.name
                );
                return Err(Failure::new(Exit::Configuration, message)
                    .advise(format!("dynaberg deploy {}, or dynaberg deploy --all", needed.name())));
            }
        }
        Ok(())
    }

    /// Refuses to take away what a stack that is still there imports.
    pub async fn check_importers(&self, stack: Stack) -> Outcome {
        for importer in Stack::ALL.into_iter().filter(|other| other.needs().contains(&stack)) {
            let declaration = self.declare_to_destroy(importer).await?;
            let removed = provision::destroy(&declaration, &self.services, true, |_| ()).await?;
            if let Some(there) = removed.removed.first() {
                let message = format!(
                    "{MISSING_EXPORT} {} imports from {}, and is still there: {there}",
                    importer.name(),
                    stack.name()
                );
                return Err(Failure::new(Exit::Configuration, message)
                    .advise(format!("dynaberg destroy {}, or dynaberg destroy --all", importer.name())));
            }
        }
        Ok(())
    }

    /// Where nobody keeps the pipeline running: its file, beside the context file, for `dynaberg run`.
    pub fn write_file(&self) -> Outcome<Option<PathBuf>> {
        if self.console.is_some() {
            return Ok(None);
        }
        let path = self.path.with_file_name(format!("{}.toml", self.context.table_name));
        let text = stack::pipeline_file(&self.context, &self.services);
        let is_ours = |there: &str| there.starts_with(text.lines().next().unwrap_or_default());
        if std::fs::read_to_string(&path).is_ok_and(|there| !is_ours(&there)) {
            return Err(Failure::new(Exit::Configuration, format!("{} is a file of somebody else", path.display()))
                .advise("move it away"));
        }
        std::fs::write(&path, text)
            .map_err(|error| Failure::new(Exit::Configuration, format!("write {}: {error}", path.display())))?;
        Ok(Some(path))
    }

    fn pipeline(&self) -> Option<Box<dyn Resource>> {
        let console = self.console.clone()?;
        let Context { namespace, table_name, stream_type, .. } = &self.context;
        let stream = match stream_type {
            StreamType::DynamoDb => "dynamodb",
            StreamType::Kinesis => "kinesis",
        };
        let summary = format!("{} → {namespace}.{table_name}, from {stream}", stack::SOURCE_TABLE);
        let text = stack::pipeline_file(&self.context, &self.services);
        Some(Box::new(ConsolePipeline { console, name: table_name.clone(), text, summary }))
    }
}

/// The stacks that are named, in the order in which they are deployed.
pub fn named(names: &[String]) -> Outcome<Vec<Stack>> {
    let unknown = names.iter().find(|name| Stack::named(name).is_none());
    if let Some(unknown) = unknown {
        let all = Stack::ALL.map(Stack::name).join(", ");
        return Err(Failure::new(Exit::Usage, format!("there is no stack {unknown}")).advise(format!("one of {all}")));
    }
    Ok(Stack::ALL.into_iter().filter(|stack| names.iter().any(|name| name == stack.name())).collect())
}

fn read(path: &Path) -> Outcome<Context> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(Exit::Configuration, format!("{CONTEXT} read the context file {}: {error}", path.display()))
            .advise("--context FILE, with the five keys of the blog")
    })?;
    Context::parse(&text).map_err(|Misread { message, advice }| {
        Failure::new(Exit::Configuration, format!("{CONTEXT} {}: {message}", path.display())).advise(advice)
    })
}

/// Whether the endpoint is a `dev`'s.
async fn is_embedded(aws: &Aws) -> bool {
    let Some(endpoint) = aws.config.endpoint_url() else { return false };
    let url = format!("{}/_dynaberg/health", endpoint.trim_end_matches('/'));
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build();
    let Ok(client) = client else { return false };
    client.get(url).send().await.is_ok_and(|response| response.status().is_success())
}
