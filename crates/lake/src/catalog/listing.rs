//! Namespaces, and the names in them.

use std::collections::HashMap;

use bytes::Bytes;
use http::Method;
use iceberg::{NamespaceIdent, TableIdent};
use iceberg_catalog_rest::{CreateNamespaceRequest, ListNamespaceResponse, ListTablesResponse};
use serde::de::DeserializeOwned;

use crate::catalog::rest::encoded;
use crate::catalog::{Catalog, json};
use crate::error::{Error, ErrorKind, Result};

/// Pages of a list that are read; a catalog that gives more is taken for one that never ends.
const LIST_PAGES_MAX: usize = 1_000;

impl Catalog {
    pub async fn list_namespaces(&self) -> Result<Vec<NamespaceIdent>> {
        let url = self.rest().namespaces_url();
        let page = |answer: ListNamespaceResponse| (answer.namespaces, answer.next_page_token);
        self.list(&url, page).await
    }

    /// Creates the namespace; one that exists already is left as it is.
    pub async fn ensure_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        let rest = self.rest();
        let found: Result<serde_json::Value> = rest.get(&rest.namespace_url(namespace)).await;
        match found {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let request = CreateNamespaceRequest { namespace: namespace.clone(), properties: HashMap::new() };
        let created = rest.exchange(Method::POST, &rest.namespaces_url(), json(&request)?).await;
        match created {
            Ok(_) => Ok(()),
            // Somebody else may have made it in between, or the answer to our own request was lost.
            Err(error) => match rest.get::<serde_json::Value>(&rest.namespace_url(namespace)).await {
                Ok(_) => Ok(()),
                Err(_) => Err(error),
            },
        }
    }

    /// Removes a namespace. `Refused` where it has tables.
    pub async fn drop_namespace(&self, namespace: &NamespaceIdent) -> Result<()> {
        let rest = self.rest();
        rest.exchange(Method::DELETE, &rest.namespace_url(namespace), Bytes::new()).await?;
        Ok(())
    }

    pub async fn list_tables(&self, namespace: &NamespaceIdent) -> Result<Vec<TableIdent>> {
        let url = self.rest().tables_url(namespace);
        let page = |answer: ListTablesResponse| (answer.identifiers, answer.next_page_token);
        self.list(&url, page).await
    }

    async fn list<A, T>(&self, url: &str, page: impl Fn(A) -> (Vec<T>, Option<String>)) -> Result<Vec<T>>
    where
        A: DeserializeOwned,
    {
        let mut all = Vec::new();
        let mut page_url = url.to_owned();
        for _ in 0..LIST_PAGES_MAX {
            let (items, next) = page(self.rest().get(&page_url).await?);
            all.extend(items);
            match next.filter(|token| !token.is_empty()) {
                Some(token) => page_url = format!("{url}?pageToken={}", encoded(&token)),
                None => return Ok(all),
            }
        }
        Err(Error::new(ErrorKind::Unexpected, format!("list {url}, which gives page after page")))
    }
}
