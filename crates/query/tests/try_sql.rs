use crate::support::*;

#[tokio::test]
async fn try_sql() {
    let Ok(path) = std::env::var("TRY_SQL") else { return };
    let lake = transactions().await;
    for sql in std::fs::read_to_string(path).unwrap().lines().filter(|line| !line.trim().is_empty()) {
        println!("> {sql}");
        let answer = std::panic::AssertUnwindSafe(lake.engine().query(sql).await).0;
        match answer {
            Ok(answer) => lines(&answer).iter().for_each(|line| println!("  {line}")),
            Err(error) => println!("  !! {} {error} | {:?}", error.code(), error.help()),
        }
    }
}
