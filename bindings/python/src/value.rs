//! Value classes: frozen, compared by what they hold, with `__match_args__`.

use pyo3::{Borrowed, IntoPyObjectExt, prelude::*, types::PyTuple};

use crate::{
    buffer::{Content, Contents},
    config::{Accounts, Limits},
    outputs::MessageRef,
    secret::Password,
    words::{CloseReason, Service},
};

/// Makes value classes. Each field is an argument of the constructor, an attribute and a place of a pattern, in this order; fields
/// with defaults are given by name alone.
macro_rules! value {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? }
    ) => {
        crate::value::value!(@class [$($field),*] $(#[$meta])* $name { $($(#[$field_meta])* $field: $type),* });
    };
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr),* $(,)? }
    ) => {
        crate::value::value!(
            @class [*, $($field = $default),*] $(#[$meta])* $name { $($(#[$field_meta])* $field: $type),* }
        );
    };
    (
        @class [$($signature:tt)*] $(#[$meta:meta])*
        $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* }
    ) => {
        $(#[$meta])*
        #[pyo3::pyclass(frozen, get_all, module = "obrolan.engine")]
        pub(crate) struct $name {
            $($(#[$field_meta])* pub(crate) $field: $type),*
        }

        #[pyo3::pymethods]
        impl $name {
            #[new]
            #[pyo3(signature = ($($signature)*))]
            #[allow(clippy::too_many_arguments)]
            fn new($($field: $type),*) -> $name {
                $name { $($field),* }
            }

            #[classattr]
            fn __match_args__(
                py: pyo3::Python<'_>,
            ) -> pyo3::PyResult<pyo3::Bound<'_, pyo3::types::PyTuple>> {
                let names: [&str; _] = [$(stringify!($field)),*];
                pyo3::types::PyTuple::new(py, names)
            }

            fn __eq__(&self, py: pyo3::Python<'_>, other: &pyo3::Bound<'_, Self>) -> pyo3::PyResult<bool> {
                pyo3::types::PyAnyMethods::eq(&*self.fields(py)?, other.get().fields(py)?)
            }

            fn __hash__(&self, py: pyo3::Python<'_>) -> pyo3::PyResult<isize> {
                pyo3::types::PyAnyMethods::hash(&*self.fields(py)?)
            }

            #[allow(unused_variables, reason = "a class may have no fields")]
            fn __repr__(&self, py: pyo3::Python<'_>) -> pyo3::PyResult<String> {
                let fields: [String; _] =
                    [$(format!("{}={}", stringify!($field), crate::value::Shown::shown(&self.$field, py)?)),*];
                Ok(format!("{}({})", stringify!($name), fields.join(", ")))
            }
        }

        impl $name {
            fn fields<'py>(
                &self,
                py: pyo3::Python<'py>,
            ) -> pyo3::PyResult<pyo3::Bound<'py, pyo3::types::PyTuple>> {
                let fields: [pyo3::Bound<'py, pyo3::PyAny>; _] =
                    [$(pyo3::IntoPyObjectExt::into_bound_py_any(&self.$field, py)?),*];
                pyo3::types::PyTuple::new(py, fields)
            }
        }
    };
}
pub(crate) use value;

/// Lets a class be the type of a field; the object is made when it is asked for.
macro_rules! field_class {
    ($class:ident) => {
        impl<'py> pyo3::FromPyObject<'_, 'py> for $class {
            type Error = pyo3::PyErr;

            fn extract(object: pyo3::Borrowed<'_, 'py, pyo3::PyAny>) -> pyo3::PyResult<$class> {
                Ok(object.cast::<$class>()?.get().clone())
            }
        }

        impl<'py> pyo3::IntoPyObject<'py> for &$class {
            type Target = $class;
            type Output = pyo3::Bound<'py, $class>;
            type Error = pyo3::PyErr;

            fn into_pyobject(self, py: pyo3::Python<'py>) -> pyo3::PyResult<pyo3::Bound<'py, $class>> {
                pyo3::Bound::new(py, self.clone())
            }
        }
    };
}
pub(crate) use field_class;

/// Makes a field that is a tuple in Python, and takes any sequence.
macro_rules! tuple_field {
    ($(#[$doc:meta])* $name:ident($item:ty)) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub(crate) struct $name(pub(crate) Vec<$item>);

        impl<'py> FromPyObject<'_, 'py> for $name {
            type Error = PyErr;

            fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<$name> {
                object.extract().map($name)
            }
        }

        impl<'py> IntoPyObject<'py> for &$name {
            type Target = PyTuple;
            type Output = Bound<'py, PyTuple>;
            type Error = PyErr;

            fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
                PyTuple::new(py, &self.0)
            }
        }
    };
}

tuple_field! {
    /// Numbers of messages.
    Numbers(u64)
}

tuple_field! {
    /// Names.
    Texts(String)
}

impl From<Vec<String>> for Texts {
    fn from(texts: Vec<String>) -> Texts {
        Texts(texts)
    }
}

impl From<Texts> for Vec<String> {
    fn from(texts: Texts) -> Vec<String> {
        texts.0
    }
}

/// How a field is shown in the `repr` of its object, which may end in a log.
pub(crate) trait Shown {
    fn shown(&self, py: Python<'_>) -> PyResult<String>;
}

/// Shows fields as Python shows them.
macro_rules! shown_as_in_python {
    ($($type:ty),+ $(,)?) => {$(
        impl Shown for $type {
            fn shown(&self, py: Python<'_>) -> PyResult<String> {
                Ok(self.into_bound_py_any(py)?.repr()?.to_string())
            }
        }
    )+};
}

shown_as_in_python!(
    bool,
    u64,
    usize,
    Option<u64>,
    String,
    Numbers,
    Texts,
    Accounts,
    Limits,
    Password,
    Option<MessageRef>,
    CloseReason,
    Service,
);

/// Bytes are records, messages and files of people, and may be long.
impl Shown for Content {
    fn shown(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<{} bytes>", self.get(py).len()))
    }
}

impl Shown for Option<Content> {
    fn shown(&self, py: Python<'_>) -> PyResult<String> {
        self.as_ref().map_or(Ok("None".to_owned()), |content| content.shown(py))
    }
}

impl Shown for Contents {
    fn shown(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<{} buffers>", self.len(py)))
    }
}
