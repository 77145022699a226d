//! What a pipeline or a stack needs of AWS, compared with what is there, made and removed. An AWS client.
//!
//! A [`Declaration`] lists [`Resource`]s in the order in which they are made. [`plan`] looks at each and says what is to
//! do; [`apply`] does it, if the world is still the one that the plan has seen; [`destroy`] goes the list backwards and
//! removes what carries the declaration's [`Mark`]. Nothing is remembered but by the marks on the resources themselves,
//! so a process that was killed is followed by any other. `stack` makes declarations of a `cdk.context.json`, `policy`
//! the rights that all this needs, and `template` what CloudFormation or Terraform take in place of an apply.

mod apply;
mod call;
mod destroy;
mod error;
mod fail_point;
mod mark;
mod plan;
pub mod policy;
pub mod resource;
pub mod stack;
pub mod template;

pub use apply::{Applied, apply};
pub use call::{About, Caller, Connection, Service, Services, encode, xml_element, xml_elements};
pub use destroy::{Destroyed, Left, destroy};
pub use error::{Error, Refusal, Result};
pub use fail_point::FailPoint;
pub use mark::Mark;
pub use plan::{Plan, Sign, Step, plan};
pub use resource::{Blueprint, Declaration, Fit, Found, Made, Resource};
