/// Why the warehouse cannot be opened, or asked.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// Another process serves this folder.
    #[error("the warehouse in {0} is in use by another process")]
    InUse(std::path::PathBuf),
    #[error("open the warehouse's files")]
    Files(#[from] std::io::Error),
    #[error("open the warehouse's catalog")]
    Catalog(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("read or record the maintenance of the warehouse's tables")]
    Maintenance(#[source] Box<dyn std::error::Error + Send + Sync>),
}
