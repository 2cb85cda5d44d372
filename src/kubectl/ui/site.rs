//! What every page needs, and how one is answered.

use std::sync::Arc;

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::door::Door;
use super::opened::Opened;
use super::store::Store;
use crate::kubectl::Cluster;
use crate::printable::printable_lines;

/// What every page needs.
pub(super) struct Site {
    pub door: Door,
    pub store: Arc<Store>,
    pub cluster: Cluster,
    pub opened: Opened,
}

/// A page, or why there is none.
pub(super) fn answer(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        // What turns text about is seen in a page as it is on a terminal.
        Ok(text) => {
            (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], printable_lines(&text)).into_response()
        }
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the page cannot be written: {error}\n")).into_response()
        }
    }
}

/// The pairs of a query or a form.
#[derive(Debug, Default)]
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    pub fn read(text: &str) -> Self {
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// What a name stands for; empty counts as not asked.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// The same with one pair changed, as a query.
    pub fn with(&self, name: &str, value: &str) -> String {
        let mut query = self.pairs_but(&[name]);
        query.append_pair(name, value);
        query.finish()
    }

    /// The same, from the first page on.
    pub fn with_first(&self, name: &str, value: &str) -> String {
        let mut query = self.pairs_but(&[name, "page"]);
        query.append_pair(name, value);
        query.finish()
    }

    /// The same without some pairs.
    pub fn without(&self, names: &[&str]) -> String {
        self.pairs_but(names).finish()
    }

    fn pairs_but(&self, names: &[&str]) -> url::form_urlencoded::Serializer<'static, String> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.0.iter().filter(|(key, value)| !names.contains(&key.as_str()) && !value.is_empty()));
        query
    }
}
