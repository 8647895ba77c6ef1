//! No code outside of `guard` can make clean or shippable text: programs that try do not compile.

#[test]
fn clean_and_shippable_text_is_made_in_guard_alone() {
    let tries = trybuild::TestCases::new();
    tries.compile_fail("tests/compile_fail/*.rs");
}
