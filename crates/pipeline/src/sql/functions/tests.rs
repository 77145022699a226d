use crate::sql::functions::{Availability, all, availability, function_names};

#[test]
fn every_function_that_is_offered_is_there() {
    let functions = all(None);
    let has = |name: &str| {
        functions.iter().any(|function| function.name() == name || function.aliases().iter().any(|alias| alias == name))
    };
    let missing: Vec<_> = function_names().into_iter().filter(|name| !has(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    for name in ["token", "mask", "from_millis", "sha256", "json_get", "coalesce", "date_trunc", "replace", "substr"] {
        assert_eq!(availability(name), Availability::Allowed, "{name}");
    }
}
