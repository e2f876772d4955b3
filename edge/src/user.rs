//! Finds the names of the device's users.

/// Returns the name of the user `id` from /etc/passwd, or `id` itself if it has no name.
pub(crate) fn user_name(id: u32) -> String {
    let list = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then_some(name)
    });
    name.map_or_else(|| id.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_name_has_its_number() {
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(4_294_967_294), "4294967294");
    }
}
