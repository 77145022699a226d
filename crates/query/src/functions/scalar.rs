//! A scalar function, given by what it takes, what it gives and how it runs over whole arrays.

use std::any::Any;
use std::hash::{Hash, Hasher};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// The types its arguments are cast to. An error where it cannot take them.
pub(super) type Takes = fn(&[DataType]) -> Result<Vec<DataType>>;
pub(super) type Gives = fn(&[DataType]) -> Result<DataType>;
/// The arguments, all of one length, and the type to give.
pub(super) type Run = fn(&[ArrayRef], &DataType) -> Result<ArrayRef>;
/// An expression that says the same, where types tell which.
pub(super) type Means = fn(&[Expr], &SimplifyContext) -> Result<Option<Expr>>;

#[derive(Debug)]
pub(crate) struct Scalar {
    name: &'static str,
    signature: Signature,
    takes: Takes,
    gives: Gives,
    run: Run,
    means: Option<Means>,
}

impl Scalar {
    pub fn new(name: &'static str, takes: Takes, gives: Gives, run: Run) -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { name, signature, takes, gives, run, means: None }
    }

    pub fn with_meaning(self, means: Means) -> Self {
        Self { means: Some(means), ..self }
    }
}

impl PartialEq for Scalar {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Scalar {}

impl Hash for Scalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Scalar {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        (self.takes)(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        (self.gives)(arg_types)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match self.means.map(|means| means(&args, info)).transpose()?.flatten() {
            Some(expr) => Ok(ExprSimplifyResult::Simplified(expr)),
            None => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let arrays = args.args.into_iter().map(|arg| arg.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = (self.run)(&arrays, args.return_field.data_type())?;
        match is_constant {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

/// Takes `N` texts.
pub(super) fn texts<const N: usize>(types: &[DataType]) -> Result<Vec<DataType>> {
    count::<N>(types)?;
    Ok(vec![DataType::Utf8; N])
}

pub(super) fn count<const N: usize>(types: &[DataType]) -> Result<()> {
    if types.len() == N {
        return Ok(());
    }
    datafusion::common::plan_err!("it takes {N} arguments, not {}", types.len())
}

pub(super) fn text(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Utf8)
}

pub(super) fn bigint(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Int64)
}

pub(super) fn boolean(_: &[DataType]) -> Result<DataType> {
    Ok(DataType::Boolean)
}
