//! What is to do, and the name of exactly that.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::call::Services;
use crate::error::{Error, Result};
use crate::resource::{Declaration, Fit, Found, Resource};

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    Add,
    Change,
    Keep,
    /// A person has to see to it.
    Clash,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    pub sign: Sign,
    pub kind: &'static str,
    pub name: String,
    pub detail: String,
    /// What to try, where it clashes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    pub owner: String,
    /// Eight digits that stand for what is wanted and for the world as it was found.
    pub id: String,
    pub steps: Vec<Step>,
}

impl Plan {
    pub fn count(&self, sign: Sign) -> usize {
        self.steps.iter().filter(|step| step.sign == sign).count()
    }

    /// Whether an apply would change anything.
    pub fn is_pending(&self) -> bool {
        self.count(Sign::Add) + self.count(Sign::Change) > 0
    }

    /// The first step that a person has to see to, as an error.
    pub fn refuse_clashes(&self) -> Result<()> {
        match self.steps.iter().find(|step| step.sign == Sign::Clash) {
            None => Ok(()),
            Some(step) => Err(Error::Clash {
                resource: format!("{} {}", step.kind, step.name),
                reason: step.detail.clone(),
                advice: step.advice.clone().unwrap_or_default(),
            }),
        }
    }
}

/// Looks at all that is declared, and changes nothing.
pub async fn plan(declaration: &Declaration, services: &Services) -> Result<Plan> {
    let found = look(declaration, services).await?;
    Ok(of_world(declaration, &found, None))
}

/// What is there of each resource, in the order of the declaration.
pub(crate) async fn look(declaration: &Declaration, services: &Services) -> Result<Vec<Found>> {
    let mut found = Vec::with_capacity(declaration.resources.len());
    for resource in &declaration.resources {
        found.push(resource.look(services).await?);
    }
    Ok(found)
}

/// The plan for a world. What the plan `begun` has made itself counts as not there yet: so an apply that was stopped
/// halfway finds the world that its plan is about.
pub(crate) fn of_world(declaration: &Declaration, found: &[Found], begun: Option<&str>) -> Plan {
    let is_begun = |found: &&Found| {
        let mark = found.mark().filter(|mark| mark.owner == declaration.owner);
        mark.is_some_and(|mark| Some(mark.plan.as_str()) == begun)
    };
    let mut digest = Sha256::new();
    let mut word = |text: &str| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    };
    word(&declaration.owner);
    word(&declaration.about);
    let mut steps = Vec::with_capacity(found.len());
    for (resource, found) in declaration.resources.iter().zip(found) {
        let found = if is_begun(&found) { &Found::Absent } else { found };
        for text in [resource.kind(), &resource.name(), &resource.wanted(), &format!("{found:?}")] {
            word(text);
        }
        steps.push(step(resource.as_ref(), found, &declaration.owner));
    }
    let id = digest.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Plan { owner: declaration.owner.clone(), id, steps }
}

fn step(resource: &dyn Resource, found: &Found, owner: &str) -> Step {
    let (sign, detail, advice) = match found {
        Found::Absent => (Sign::Add, resource.wanted(), None),
        Found::There { fit: Fit::Lacks(what), .. } => (Sign::Change, what.clone(), None),
        Found::There { fit: Fit::Clashes(why, advice), .. } => (Sign::Clash, why.clone(), Some(advice.clone())),
        Found::There { mark, fit: Fit::Fits } => {
            let whose = match mark {
                Some(mark) if mark.owner == owner => "there, made by an apply",
                Some(_) => "there, made by another apply, and stays",
                None => "there, and stays",
            };
            (Sign::Keep, whose.to_owned(), None)
        }
    };
    Step { sign, kind: resource.kind(), name: resource.name(), detail, advice }
}
