//! What a form of a page sends.

use super::super::{error::ServiceError, gate::Granted, query::Query};
use std::borrow::Cow;

/// The media type of forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// The fields of a form, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct PageForm(Vec<(String, String)>);

impl PageForm {
    /// The value of a field; empty if it is absent.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// The value of a field without blanks around it, unless nothing is left.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name).trim()).filter(|text| !text.is_empty())
    }

    /// The same, owned.
    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.given(name).map(str::to_owned)
    }

    /// The values of a field that may be repeated.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(field, _)| field == name).map(|(_, value)| value.clone()).collect()
    }

    /// Whether a field has this value, among others.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.0.iter().any(|(field, sent)| field == name && sent == value)
    }

    /// The form without the fields of which this is true.
    pub(super) fn without(&self, is_left_out: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| !is_left_out(name)).cloned().collect())
    }

    /// All fields.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Words of a field, which blanks, commas or new lines separate.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let words = self.text(name).split(|c: char| c.is_whitespace() || c == ',');
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// What a form sent in the query of a page.
    pub(super) fn of_query(query: &Query<'_>) -> Self {
        Self(query.pairs().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A form whose fields were sent one by one.
    pub(super) fn of_fields(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// A form with these fields.
    #[cfg(test)]
    pub(super) fn of(fields: &[(&str, &str)]) -> Self {
        Self(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// Fields whose names begin so, with the rest of the name.
    pub(super) fn beginning<'f>(&'f self, prefix: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        self.0.iter().filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// Whether a box is checked.
    pub(super) fn checked(&self, name: &str) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }
}

impl Granted {
    /// The form of this request.
    ///
    /// # Errors
    /// The body has another media type, is too long, or was cut.
    pub(super) async fn read_form(&mut self) -> Result<PageForm, ServiceError> {
        let body = self.read_body(FORM).await?;
        let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
        Ok(PageForm(form_urlencoded::parse(&body).map(owned).collect()))
    }
}
