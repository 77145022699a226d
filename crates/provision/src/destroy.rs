//! Removing what an apply has made, and nothing else.

use serde::Serialize;

use crate::call::Services;
use crate::error::Result;
use crate::plan::look;
use crate::resource::{Declaration, Found};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Destroyed {
    /// `table bucket streamtablebucket`, in the order in which they went.
    pub removed: Vec<String>,
    pub left: Vec<Left>,
}

/// What stays, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    pub resource: String,
    pub reason: String,
}

/// Removes what carries the declaration's mark, last made first; looks only, with `dry_run`.
///
/// What somebody else has put something into stays, and so does what it lies in: both are named.
pub async fn destroy(
    declaration: &Declaration,
    services: &Services,
    dry_run: bool,
    told: impl Fn(&str) + Sync,
) -> Result<Destroyed> {
    let found = look(declaration, services).await?;
    let mut destroyed = Destroyed::default();
    for (resource, found) in declaration.resources.iter().zip(&found).rev() {
        let mut leave = |reason: String| destroyed.left.push(Left { resource: resource.title(), reason });
        match found {
            Found::Absent => {
                if !dry_run {
                    resource.forget(services, &declaration.owner).await?;
                }
                continue;
            }
            Found::There { mark: Some(mark), .. } if mark.owner == declaration.owner => {}
            Found::There { mark: Some(mark), .. } => {
                leave(format!("{} made it", mark.owner));
                continue;
            }
            Found::There { mark: None, .. } => {
                leave("no apply made it".to_owned());
                continue;
            }
        }
        if !dry_run {
            match resource.unmake(services).await {
                Ok(()) => {}
                Err(error) if error.is(&NOT_EMPTY) => {
                    leave(format!("something is in it that no apply has made: {error}"));
                    continue;
                }
                Err(error) => return Err(error),
            }
        }
        told(&resource.title());
        destroyed.removed.push(resource.title());
    }
    Ok(destroyed)
}

/// How services say that something is not empty. S3 Tables: a namespace with tables, a bucket with namespaces.
const NOT_EMPTY: [&str; 3] = ["BucketNotEmpty", "ConflictException", "BadRequestException"];
