//! DynamoDB's typed attribute values: `{"S": "text"}`, `{"N": "1.5"}`, `{"M": {…}}`.

use crate::decode::misfit::Misfit;
use crate::decode::tape::{Elements, Json, Members};

/// One attribute value, still in the tape.
#[derive(Clone)]
pub(crate) enum Value<'t> {
    S(&'t str),
    N(&'t str),
    /// Base64 text.
    B(&'t str),
    Bool(bool),
    Null,
    M(Members<'t>),
    L(Elements<'t>),
    Set(SetOf, Elements<'t>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SetOf {
    Strings,
    Numbers,
    Binaries,
}

impl<'t> Value<'t> {
    /// Reads the type and, for scalars, the value. What is inside of maps, lists and sets is read when it is walked.
    #[inline]
    pub fn read(json: Json<'t>) -> Result<Self, Misfit> {
        let (tag, value) = json.only_member().ok_or(Misfit::NotAValue)?;
        let text = || value.as_str().ok_or(Misfit::NotAValue);
        let elements = || value.elements().ok_or(Misfit::NotAValue);
        Ok(match tag {
            "S" => Self::S(text()?),
            "N" => Self::N(text()?),
            "B" => Self::B(text()?),
            "BOOL" => match value.as_static() {
                Some(simd_json::StaticNode::Bool(value)) => Self::Bool(value),
                _ => return Err(Misfit::NotAValue),
            },
            "NULL" => Self::Null,
            "M" => Self::M(value.members().ok_or(Misfit::NotAValue)?),
            "L" => Self::L(elements()?),
            "SS" => Self::Set(SetOf::Strings, elements()?),
            "NS" => Self::Set(SetOf::Numbers, elements()?),
            "BS" => Self::Set(SetOf::Binaries, elements()?),
            _ => return Err(Misfit::NotAValue),
        })
    }

    /// DynamoDB's name of the type.
    pub fn tag(&self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
            Self::M(_) => "M",
            Self::L(_) => "L",
            Self::Set(SetOf::Strings, _) => "SS",
            Self::Set(SetOf::Numbers, _) => "NS",
            Self::Set(SetOf::Binaries, _) => "BS",
        }
    }
}
