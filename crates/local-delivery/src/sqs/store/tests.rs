use rusqlite::Connection;

use super::*;
use crate::sqs::error::{self, Result};

fn queues(connection: &Connection) -> Result<i64> {
    Ok(connection.query_row("SELECT count(*) FROM queue", [], |row| row.get(0))?)
}

fn insert(connection: &Connection, name: &str) -> Result<()> {
    let sql = "INSERT INTO queue (account, region, name, settings, tags, created_at, modified_at)
               VALUES ('1', 'r', ?, '{}', '{}', 0, 0)";
    connection.execute(sql, [name])?;
    Ok(())
}

#[tokio::test]
async fn what_is_acknowledged_is_there_after_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sqs.sqlite");
    let store = open(&path).unwrap();
    store.run(|connection| insert(connection, "a")).await.unwrap();
    // Not closed: as if the process had been killed.
    let again = open(&path).unwrap();
    assert_eq!(again.run(queues).await.unwrap(), 1);
    drop(store);
}

#[tokio::test]
async fn work_that_fails_leaves_nothing_and_the_work_beside_it_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("sqs.sqlite")).unwrap();
    let failing = store.run(|connection| {
        insert(connection, "a")?;
        Err::<(), _>(error::queue_does_not_exist())
    });
    let (failed, kept) = tokio::join!(failing, store.run(|connection| insert(connection, "b")));
    assert!(failed.is_err());
    kept.unwrap();
    assert_eq!(store.run(queues).await.unwrap(), 1);
}
