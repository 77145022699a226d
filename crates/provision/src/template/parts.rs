//! Which resources a template has, and what it cannot do.

use serde_json::{Value, json};

use super::{ByHand, Language};
use crate::plan::{Plan, Sign};
use crate::policy::{Purpose, Touched, document, statements};
use crate::resource::{Blueprint, Declaration};

/// What goes into a template, in no language yet.
pub struct Parts<'a> {
    /// `pipeline/orders`.
    owner: &'a str,
    /// `orders`.
    pub pipeline: &'a str,
    pub touched: &'a Touched,
    pub blueprints: Vec<Blueprint>,
    /// The titles of `blueprints`.
    makes: Vec<String>,
    pub by_hand: Vec<ByHand>,
    pub left_out: Vec<String>,
    /// Whether the table is there, made by an earlier template.
    pub keeps_table: bool,
}

impl<'a> Parts<'a> {
    /// Takes what is to be made, and of what is there only what an earlier template holds.
    pub fn choose(
        language: Language,
        declaration: &'a Declaration,
        plan: &Plan,
        touched: &'a Touched,
        earlier: &[String],
    ) -> Self {
        let owner = declaration.owner.as_str();
        let mut parts = Self {
            owner,
            pipeline: owner.rsplit('/').next().unwrap_or(owner),
            touched,
            blueprints: Vec::new(),
            makes: Vec::new(),
            by_hand: Vec::new(),
            left_out: Vec::new(),
            keeps_table: false,
        };
        for (resource, step) in declaration.resources.iter().zip(&plan.steps) {
            let (blueprint, title) = (resource.blueprint(), resource.title());
            let is_absent = step.sign == Sign::Add;
            if blueprint == Blueprint::None {
                continue;
            }
            match parts.command(language, &blueprint) {
                Some(by_hand) if is_absent => parts.by_hand.push(by_hand),
                Some(_) => {}
                None if is_absent || earlier.contains(&title) => {
                    parts.keeps_table |= !is_absent && matches!(blueprint, Blueprint::IcebergTable { .. });
                    parts.blueprints.push(blueprint);
                    parts.makes.push(title);
                }
                None => parts.left_out.push(title),
            }
        }
        parts
    }

    /// The command for what the language has no resource for: a table that another template or nobody's has made.
    fn command(&self, language: Language, blueprint: &Blueprint) -> Option<ByHand> {
        let Touched { region, .. } = self.touched;
        let on_table =
            |operation: &str, table: &str| format!("aws dynamodb {operation} --region {region} --table-name {table}");
        let (table, member, command) = match (language, blueprint) {
            (_, Blueprint::DynamoDbStream { table }) => {
                let on = "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES";
                let command = format!("{} --stream-specification {on}", on_table("update-table", table));
                (table, "its stream", command)
            }
            (Language::CloudFormation, Blueprint::KinesisDestination { table, .. }) => {
                let precision = "ApproximateCreationDateTimePrecision=MICROSECOND";
                let command = format!(
                    "{} --stream-arn {} --enable-kinesis-streaming-configuration {precision}",
                    on_table("enable-kinesis-streaming-destination", table),
                    self.touched.stream()
                );
                (table, "its Kinesis destination, once the stream is there", command)
            }
            _ => return None,
        };
        let why = format!(
            "the table {table} is there already, and a template changes no table that it has not made: {member}"
        );
        Some(ByHand { why, command })
    }

    /// Whether one of the parts is like that.
    pub fn has(&self, is_it: impl Fn(&Blueprint) -> bool) -> bool {
        self.blueprints.iter().any(is_it)
    }

    /// The rights to run the pipeline, as a policy document.
    pub fn rights(&self) -> Value {
        document(&statements(self.touched, Purpose::Run))
    }

    /// `analytics.transactions`.
    pub fn table(&self) -> String {
        format!("{}.{}", self.touched.namespace, self.touched.table)
    }

    /// The id of the table bucket's catalog: `000000000000:s3tablescatalog/shop-lake`.
    pub fn catalog_id(&self) -> String {
        let bucket = self.touched.table_bucket.rsplit('/').next().unwrap_or_default();
        format!("{}:s3tablescatalog/{bucket}", self.touched.account)
    }

    /// A name that every service takes, `dynaberg-orders` and what follows.
    pub fn named(&self, rest: &str) -> String {
        let is_plain = |char: char| char.is_ascii_alphanumeric() || char == '-';
        let plain: String = self.pipeline.chars().map(|char| if is_plain(char) { char } else { '-' }).collect();
        format!("dynaberg-{plain}{rest}")
    }

    /// `Dynaberg: orders → shop.orders`.
    pub fn description(&self) -> String {
        let Touched { source_table, account, region, .. } = self.touched;
        format!("Dynaberg: {source_table} to {}, in account {account} and region {region}", self.table())
    }

    /// What the template says of itself, for people and for the next one of the same pipeline.
    pub fn about(&self) -> Value {
        json!({
            "written by": format!("dynaberg plan {}.toml --emit", self.pipeline),
            "owner": self.owner,
            "makes": self.makes,
            "by hand": self.by_hand,
            "there already, and left out": self.left_out,
        })
    }
}
