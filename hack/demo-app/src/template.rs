//! HTML with holes.

/// Text between fields: `{{name}}` is escaped, `{{&name}}` is HTML already.
pub(crate) struct Template {
    segments: Vec<Segment>,
}

enum Segment {
    Text(String),
    Escaped(String),
    Html(String),
}

impl Template {
    pub(crate) fn parse(source: &str) -> Self {
        let mut pieces = source.split("{{");
        let mut segments = vec![Segment::Text(pieces.next().unwrap_or_default().to_owned())];
        for (field, text) in pieces.filter_map(|piece| piece.split_once("}}")) {
            segments.push(match field.strip_prefix('&') {
                Some(html) => Segment::Html(html.to_owned()),
                None => Segment::Escaped(field.to_owned()),
            });
            segments.push(Segment::Text(text.to_owned()));
        }
        Self { segments }
    }

    /// The text with its holes filled; a field without a value stays empty.
    pub(crate) fn render(&self, fields: &[(&str, &str)]) -> String {
        let value = |name: &str| fields.iter().find(|field| field.0 == name).map_or("", |field| field.1);
        let mut page = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Text(text) => page.push_str(text),
                Segment::Html(name) => page.push_str(value(name)),
                Segment::Escaped(name) => escape(value(name), &mut page),
            }
        }
        page
    }
}

fn escape(text: &str, page: &mut String) {
    for character in text.chars() {
        match character {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            other => page.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_escaped_unless_they_are_html() {
        let template = Template::parse("<b>{{text}}</b>{{&html}}{{absent}}.");
        let page = template.render(&[("text", "a<b & \"c\""), ("html", "<i>")]);
        assert_eq!(page, "<b>a&lt;b &amp; &quot;c&quot;</b><i>.");
    }
}
