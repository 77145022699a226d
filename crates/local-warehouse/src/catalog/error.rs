use std::fmt;

/// What a catalog keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    TableBucket,
    Namespace,
    Table,
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Entity::TableBucket => "table bucket",
            Entity::Namespace => "namespace",
            Entity::Table => "table",
        })
    }
}

/// Why the catalog refused. S3 Tables and Iceberg REST each say it in their own shape.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    #[error("The specified {0} does not exist: {1}")]
    NotFound(Entity, String),
    #[error("A {0} with this name already exists: {1}")]
    AlreadyExists(Entity, String),
    #[error("The specified {0} is not empty: {1}")]
    NotEmpty(Entity, String),
    /// Somebody else changed the table meanwhile.
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Invalid(String),
    #[error("the warehouse failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl CatalogError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    pub(crate) fn failed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Failed(cause.into())
    }
}

impl From<rusqlite::Error> for CatalogError {
    fn from(error: rusqlite::Error) -> Self {
        Self::failed(error)
    }
}

impl From<crate::objects::ObjectError> for CatalogError {
    fn from(error: crate::objects::ObjectError) -> Self {
        Self::failed(error)
    }
}

pub(crate) type Result<T> = std::result::Result<T, CatalogError>;
