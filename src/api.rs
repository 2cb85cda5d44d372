//! The custom resources: types, schema and validation rules, nothing else.

pub mod v1alpha1;
