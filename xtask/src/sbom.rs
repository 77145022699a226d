//! What a release is made of, as CycloneDX writes it: every crate that is compiled into the binary or runs to build it.
//!
//! <https://cyclonedx.org/docs/1.6/json/>

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::workspace::{cargo, output, root};

/// The document. The same workspace gives the same bytes.
pub fn cyclonedx(version: &str, target: &str, committed_at: &str) -> Result<String> {
    let metadata = output(&mut cargo(&["metadata", "--format-version", "1", "--locked", "--filter-platform", target]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let edges = edges(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let by_id: BTreeMap<&str, &Value> = packages.iter().filter_map(|it| Some((it["id"].as_str()?, it))).collect();
    let binary = packages.iter().find(|package| package["name"] == "dynaberg").context("there is no dynaberg")?;
    let binary_id = binary["id"].as_str().context("dynaberg has no id")?;
    let reached = reach(binary_id, &edges);
    let checksums = checksums()?;

    let mut components: Vec<Value> = reached
        .iter()
        .filter(|id| **id != binary_id)
        .filter_map(|id| by_id.get(id))
        .map(|package| component(package, &checksums))
        .collect();
    components.sort_by_key(|component| component["bom-ref"].to_string());
    let mut dependencies: Vec<Value> = reached
        .iter()
        .filter_map(|id| {
            let on: BTreeSet<String> =
                edges.get(id)?.iter().filter_map(|on| by_id.get(on)).map(|it| purl(it)).collect();
            Some(json!({ "ref": purl(by_id.get(id)?), "dependsOn": on }))
        })
        .collect();
    dependencies.sort_by_key(|dependency| dependency["ref"].to_string());
    let own = json!({
        "type": "application",
        "bom-ref": purl(binary),
        "name": "dynaberg",
        "version": version,
        "licenses": [{ "expression": binary["license"] }],
        "properties": [{ "name": "target", "value": target }],
    });
    let document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "timestamp": committed_at, "component": own },
        "components": components,
        "dependencies": dependencies,
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// What each package needs to be built and to run. What only tests need is not in a release.
fn edges(metadata: &Value) -> Result<BTreeMap<&str, Vec<&str>>> {
    let nodes = metadata["resolve"]["nodes"].as_array().context("cargo metadata resolves nothing")?;
    let is_released = |dependency: &&Value| {
        let kinds = dependency["dep_kinds"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"))
    };
    let mut edges = BTreeMap::new();
    for node in nodes {
        let id = node["id"].as_str().context("a node has no id")?;
        let dependencies = node["deps"].as_array().into_iter().flatten();
        let released = dependencies.filter(is_released);
        edges.insert(id, released.filter_map(|dependency| dependency["pkg"].as_str()).collect());
    }
    Ok(edges)
}

fn reach<'a>(from: &'a str, edges: &BTreeMap<&'a str, Vec<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(id) = waiting.pop() {
        if reached.insert(id) {
            waiting.extend(edges.get(id).into_iter().flatten());
        }
    }
    reached
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let text = |name: &str| package[name].as_str().unwrap_or_default().to_owned();
    let mut component = json!({
        "type": "library",
        "bom-ref": purl(package),
        "name": text("name"),
        "version": text("version"),
        "purl": purl(package),
    });
    if let Some(license) = package["license"].as_str() {
        // Cargo still takes the slash of old: it means that one may choose.
        component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
    }
    if let Some(checksum) = checksums.get(&(text("name"), text("version"))) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// `pkg:cargo/arrow@58.4.1`.
fn purl(package: &Value) -> String {
    let text = |name: &str| package[name].as_str().unwrap_or_default();
    format!("pkg:cargo/{}@{}", text("name"), text("version"))
}

/// The checksums that Cargo.lock has, by name and version.
fn checksums() -> Result<BTreeMap<(String, String), String>> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).context("read Cargo.lock")?;
    let mut checksums = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
            line.map(|value| value.trim().trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(checksum)) = (value("name"), value("version"), value("checksum")) {
            checksums.insert((name, version), checksum);
        }
    }
    Ok(checksums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_lists_what_it_is_built_from_and_not_what_only_tests_need() {
        let text = cyclonedx("0.1.0", "x86_64-unknown-linux-gnu", "2026-11-22T00:00:00Z").unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        let components = document["components"].as_array().unwrap();
        let find = |name: &str| components.iter().find(|component| component["name"] == name);
        let arrow = find("arrow").expect("tables are made of it");
        assert_eq!(arrow["licenses"][0]["expression"], "Apache-2.0");
        assert_eq!(arrow["hashes"][0]["content"].as_str().unwrap().len(), 64);
        assert!(find("lake").is_some(), "our own crates are components, too");
        assert!(find("proptest").is_none() && find("xtask").is_none());
        let references: BTreeSet<String> = components.iter().map(|it| it["bom-ref"].to_string()).collect();
        assert_eq!(references.len(), components.len(), "every reference is one component's");
        let dependencies = document["dependencies"].as_array().unwrap();
        let own = document["metadata"]["component"]["bom-ref"].to_string();
        for on in dependencies.iter().flat_map(|it| it["dependsOn"].as_array().unwrap()) {
            let on = on.to_string();
            assert!(references.contains(&on) || on == own, "{on} is listed");
        }
        assert_eq!(text, cyclonedx("0.1.0", "x86_64-unknown-linux-gnu", "2026-11-22T00:00:00Z").unwrap());
    }
}
