//! Making what a plan says, in its order.
//!
//! Each resource is made by one call that also marks it and that fails where the resource is there already. Two applies
//! at once go through the same list, so at the first resource that both want, one is told that it was taken, and stops:
//! no lock is needed, and none can be left behind.

use serde::Serialize;

use crate::call::Services;
use crate::error::{Error, Result};
use crate::mark::Mark;
use crate::plan::{Plan, Sign, Step, look, of_world};
use crate::resource::{Declaration, Fit, Found, Made};

/// What an apply did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Applied {
    pub owner: String,
    pub plan: String,
    /// What was made or changed now, in this order.
    pub done: Vec<Step>,
    /// What an apply of the same plan had made before it was stopped.
    pub resumed: usize,
}

/// Does what the plan `planned` says; all that is left to do, without one. `told` hears of each step once it is done.
///
/// Fails with `WorldChanged`, before anything is touched, where the world is not the one that the plan has seen.
pub async fn apply(
    declaration: &Declaration,
    services: &Services,
    planned: Option<&str>,
    told: impl Fn(&Step) + Sync,
) -> Result<Applied> {
    let found = look(declaration, services).await?;
    let plan = checked(declaration, &found, planned)?;
    plan.refuse_clashes()?;
    let run = services.ambient().uuid().to_string();
    let mark = Mark { owner: declaration.owner.clone(), plan: plan.id.clone(), run };
    let mut applied = Applied { owner: declaration.owner.clone(), plan: plan.id.clone(), done: Vec::new(), resumed: 0 };
    for ((resource, found), step) in declaration.resources.iter().zip(&found).zip(&plan.steps) {
        match found {
            Found::Absent => match resource.make(services, &mark).await? {
                Made::Done => {}
                Made::Taken => return Err(Error::Overtaken { resource: resource.title() }),
            },
            Found::There { fit: Fit::Lacks(_), .. } => resource.change(services, &mark).await?,
            Found::There { .. } => {
                applied.resumed += usize::from(step.sign == Sign::Add);
                continue;
            }
        }
        told(step);
        applied.done.push(step.clone());
    }
    Ok(applied)
}

/// The plan for this world, which has to be the one that was asked for.
fn checked(declaration: &Declaration, found: &[Found], planned: Option<&str>) -> Result<Plan> {
    let now = of_world(declaration, found, None);
    let Some(planned) = planned else { return Ok(now) };
    if now.id == planned {
        return Ok(now);
    }
    let begun = of_world(declaration, found, Some(planned));
    match begun.id == planned {
        true => Ok(begun),
        false => Err(Error::WorldChanged { planned: planned.to_owned(), now: now.id }),
    }
}
