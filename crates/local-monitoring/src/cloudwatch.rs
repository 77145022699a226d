//! CloudWatch's endpoint, in the JSON protocol that boto3 and the AWS CLI speak to it.
//!
//! `put_metric_data` and `read` are for metrics; `alarms` keeps alarms, `alarm` is one of them and `rounds` evaluates
//! them.

mod alarm;
mod alarms;
mod error;
mod history;
mod put_metric_data;
mod read;
mod rounds;

use std::sync::Arc;

use ambient::Ambient;
use async_trait::async_trait;
use aws_wire::{AwsError, Caller, JsonService, JsonVersion};
use bytes::Bytes;

use crate::call::{Answer, Call, internal, region_key};
use crate::store::Store;

pub(crate) use rounds::evaluate_all;

/// The endpoint. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CloudWatch {
    pub store: Arc<Store>,
    pub ambient: Ambient,
}

#[async_trait]
impl JsonService for CloudWatch {
    fn target_prefix(&self) -> &'static str {
        "GraniteServiceVersion20100801"
    }

    fn json_version(&self) -> JsonVersion {
        JsonVersion::V1_0
    }

    fn error_namespace(&self) -> Option<&'static str> {
        Some("com.amazonaws.cloudwatch")
    }

    async fn call(&self, caller: &Caller, operation: &str, body: Bytes) -> Result<Bytes, AwsError> {
        let (service, caller, operation) = (self.clone(), caller.clone(), operation.to_owned());
        let answer = tokio::task::spawn_blocking(move || {
            let region = region_key(&caller.identity.account_id, &caller.region);
            let now_ms = service.ambient.now_ms();
            route(&Call { store: &service.store, caller: &caller, region, body: &body, now_ms }, &operation)
        });
        let answer = answer.await.unwrap_or_else(|panic| Err(internal(&panic)))?;
        Ok(answer.to_string().into())
    }
}

fn route(call: &Call<'_>, operation: &str) -> Answer {
    match operation {
        "DeleteAlarms" => alarms::delete(call),
        "DescribeAlarmHistory" => history::describe(call),
        "DescribeAlarms" => alarms::describe(call),
        "DescribeAlarmsForMetric" => alarms::describe_for_metric(call),
        "DisableAlarmActions" => alarms::set_actions(call, false),
        "EnableAlarmActions" => alarms::set_actions(call, true),
        "GetMetricData" => read::get_metric_data(call),
        "GetMetricStatistics" => read::get_metric_statistics(call),
        "ListMetrics" => read::list_metrics(call),
        "ListTagsForResource" => alarms::list_tags(call),
        "PutMetricAlarm" => alarms::put(call),
        "PutMetricData" => put_metric_data::put(call),
        "SetAlarmState" => alarms::set_state(call),
        "TagResource" => alarms::tag(call),
        "UntagResource" => alarms::untag(call),
        unknown => Err(AwsError::bad_request(
            "UnknownOperationException",
            format!("The operation '{unknown}' of CloudWatch is not served here."),
        )),
    }
}
