//! What is known of a deployment: as its services answered, and what could not be looked at.

use serde_json::Value;

use super::compare::Comparison;

/// Everything that findings are drawn from. Plain data, so that judging needs no service.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `Table` of DescribeTable.
    pub source: Value,
    /// The Kinesis streams that take the table's changes: `StreamDescriptionSummary` of each.
    pub kinesis: Vec<Value>,
    /// Event source mappings that read the table's stream or one of those.
    pub mappings: Vec<Value>,
    /// Functions of these mappings, by GetFunctionConfiguration.
    pub functions: Vec<Value>,
    /// Delivery streams into Iceberg tables: `DeliveryStreamDescription` of each.
    pub deliveries: Vec<Value>,
    /// Tables that these deliver into and that are not there: `delivery stream orders: analytics.orders`.
    pub missing_tables: Vec<String>,
    /// Records that a function has not given back, by delivery stream.
    pub unaccounted: Vec<(String, u64)>,
    /// What roles of writers may do to more than they need: `role forwarder: s3:* on *`.
    pub wildcards: Vec<String>,
    /// `DataLakeSettings`.
    pub settings: Option<Value>,
    /// `None` where they could not be looked at.
    pub alarms: Option<Vec<Value>>,
    pub lake: Option<LakeTable>,
    pub comparison: Option<Comparison>,
    pub unseen: Vec<Unseen>,
}

/// The table that the deployment fills.
#[derive(Clone, Debug, Default)]
pub struct LakeTable {
    pub name: String,
    pub is_partitioned: bool,
    /// A pipeline of Dynaberg writes it: what its columns hold is its transform's business.
    pub is_ours: bool,
    /// Maintenance jobs that are switched off.
    pub jobs_off: Vec<String>,
}

/// Something that could not be looked at, and the faults that it could have shown.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unseen {
    pub faults: Vec<&'static str>,
    pub why: String,
}

impl Facts {
    pub fn key_attributes(&self) -> Vec<String> {
        let keys = self.source["KeySchema"].as_array().into_iter().flatten();
        keys.filter_map(|key| Some(key["AttributeName"].as_str()?.to_owned())).collect()
    }

    pub fn stream_arn(&self) -> Option<&str> {
        let enabled = self.source["StreamSpecification"]["StreamEnabled"] == true;
        self.source["LatestStreamArn"].as_str().filter(|_| enabled)
    }

    /// The roles that write the lake.
    pub fn writers(&self) -> Vec<&str> {
        let of_functions = self.functions.iter().filter_map(|function| function["Role"].as_str());
        let of_deliveries = self.deliveries.iter().flat_map(iceberg_destinations);
        of_functions.chain(of_deliveries.filter_map(|destination| destination["RoleARN"].as_str())).collect()
    }

    pub fn miss(&mut self, faults: &[&'static str], why: impl Into<String>) {
        self.unseen.push(Unseen { faults: faults.to_vec(), why: why.into() });
    }
}

/// Where a delivery stream delivers to, as far as that is Iceberg.
pub fn iceberg_destinations(delivery: &Value) -> impl Iterator<Item = &Value> {
    let destinations = delivery["Destinations"].as_array().into_iter().flatten();
    destinations.map(|it| &it["IcebergDestinationDescription"]).filter(|it| it.is_object())
}
