//! A deployed pipeline as a resource: what the console of a running `dev` says of it.

use std::time::Duration;

use async_trait::async_trait;
use provision::{Error, Fit, Found, Made, Mark, Resource, Result, Services};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use super::DeployedPipeline;

/// A pipeline that has changes in flight commits them before it stops.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct ConsolePipeline {
    /// `http://127.0.0.1:4567`.
    pub console: String,
    pub name: String,
    /// The pipeline file.
    pub text: String,
    /// `financial-transactions → analytics.transactions, from dynamodb`.
    pub summary: String,
}

#[async_trait]
impl Resource for ConsolePipeline {
    fn kind(&self) -> &'static str {
        "pipeline"
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn wanted(&self) -> String {
        self.summary.clone()
    }

    async fn look(&self, _: &Services) -> Result<Found> {
        let Some(found) = self.get().await? else { return Ok(Found::Absent) };
        let fit = match found.text == self.text {
            true => Fit::Fits,
            false => Fit::Lacks(self.summary.clone()),
        };
        Ok(Found::There { mark: Mark::parse(&found.made_by), fit })
    }

    async fn make(&self, services: &Services, mark: &Mark) -> Result<Made> {
        let path = self.path();
        let (status, answer) = services.count_change(self.ask(Method::PUT, &path, Some(mark))).await?;
        match status {
            StatusCode::CONFLICT => Ok(Made::Taken),
            status => self.checked(status, &answer).map(|()| Made::Done),
        }
    }

    async fn change(&self, services: &Services, mark: &Mark) -> Result<()> {
        let path = format!("{}?replace=true", self.path());
        let (status, answer) = services.count_change(self.ask(Method::PUT, &path, Some(mark))).await?;
        self.checked(status, &answer)
    }

    async fn unmake(&self, services: &Services) -> Result<()> {
        let path = self.path();
        let (status, answer) = services.count_change(self.ask(Method::DELETE, &path, None)).await?;
        self.checked(status, &answer)
    }
}

impl ConsolePipeline {
    fn path(&self) -> String {
        format!("pipelines/{}", self.name)
    }

    async fn get(&self) -> Result<Option<DeployedPipeline>> {
        let (status, answer) = self.ask(Method::GET, &self.path(), None).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.checked(status, &answer)?;
        serde_json::from_value(answer).map(Some).map_err(|error| self.unanswered(&error))
    }

    async fn ask(&self, method: Method, path: &str, mark: Option<&Mark>) -> Result<(StatusCode, Value)> {
        let url = format!("{}/{path}", self.console.trim_end_matches('/'));
        let client = Client::builder().no_proxy().timeout(PATIENCE).build().map_err(|error| self.unanswered(&error))?;
        let mut request = client.request(method, url);
        if let Some(mark) = mark {
            request = request.json(&DeployedPipeline { text: self.text.clone(), made_by: mark.value() });
        }
        let response = request.send().await.map_err(|error| self.unanswered(&error))?;
        let status = response.status();
        Ok((status, response.json().await.unwrap_or_default()))
    }

    fn checked(&self, status: StatusCode, answer: &Value) -> Result<()> {
        if status.is_success() {
            return Ok(());
        }
        let reason = answer["message"].as_str().map_or_else(|| status.to_string(), str::to_owned);
        let advice = "--console URL, of the `dynaberg dev` that AWS_ENDPOINT_URL names".to_owned();
        Err(Error::Clash { resource: self.title(), reason, advice })
    }

    fn unanswered(&self, error: &(dyn std::error::Error + 'static)) -> Error {
        Error::Unanswered(format!("ask the console at {}: {}", self.console, crate::failure::with_causes(error)))
    }
}
