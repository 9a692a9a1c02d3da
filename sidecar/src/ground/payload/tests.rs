use std::sync::LazyLock;

use expect_test::expect;
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use prost_types::FileDescriptorSet;
use serde_json::json;

use super::*;

const PROTO: &str = r#"
    syntax = "proto3";
    package shop;
    import "google/protobuf/duration.proto";
    import "google/protobuf/empty.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";

    message Everything {
      double a_double = 1;
      float a_float = 2;
      int64 an_int64 = 3;
      uint64 a_uint64 = 4;
      int32 an_int32 = 5;
      fixed64 a_fixed64 = 6;
      fixed32 a_fixed32 = 7;
      bool a_bool = 8;
      string a_string = 9;
      bytes some_bytes = 12;
      uint32 a_uint32 = 13;
      Colour colour = 14;
      sfixed32 an_sfixed32 = 15;
      sfixed64 an_sfixed64 = 16;
      sint32 an_sint32 = 17;
      sint64 an_sint64 = 18;
      Everything inner = 20;
      repeated int32 numbers = 21;
      repeated Everything many = 22;
      repeated Colour colours = 23;
      map<string, Everything> by_name = 24;
      map<int32, double> by_number = 25;
      map<bool, Colour> by_truth = 26;
      optional string perhaps = 27;
      oneof choice { string word = 28; uint32 count = 29; }
      int32 called_otherwise = 30 [json_name = "known"];
      google.protobuf.Timestamp time = 40;
      google.protobuf.Duration length = 41;
      google.protobuf.FieldMask mask = 42;
      google.protobuf.Struct object = 43;
      google.protobuf.Value value = 44;
      google.protobuf.ListValue list = 45;
      google.protobuf.NullValue nothing = 46;
      google.protobuf.Int64Value wrapped = 47;
      google.protobuf.StringValue wrapped_text = 48;
      google.protobuf.Empty empty = 49;
      repeated google.protobuf.Value values = 50;
      message Nested { enum Inner { ZERO = 0; } Inner inner = 1; }
      Nested nested = 51;
    }
    enum Colour { RED = 0; BLUE = 3; DARK = -1; }
"#;

static SET: LazyLock<FileDescriptorSet> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.proto"), PROTO).unwrap();
    protox::compile(["shop.proto"], [folder.path()]).unwrap()
});
static FILES: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| SET.file.iter().map(Message::encode_to_vec).collect());
static OURS: LazyLock<Descriptors> = LazyLock::new(|| {
    let mut descriptors = Descriptors::default();
    FILES.iter().for_each(|file| descriptors.add(file).unwrap());
    descriptors
});
static REFERENCE: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::from_file_descriptor_set(SET.clone()).unwrap();
    pool.get_message_by_name("shop.Everything").unwrap()
});

/// The descriptors as we read them, and as the reference does.
fn both() -> (&'static Descriptors, MessageDescriptor) {
    (&OURS, REFERENCE.clone())
}

fn ours(descriptors: &Descriptors, value: &Value) -> Result<Vec<u8>, Misfit> {
    encode(descriptors, "shop.Everything", value)
}

/// As the reference writes it, since NaN equals nothing.
fn json_of(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new();
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

#[test]
fn every_kind_of_field_is_encoded_as_the_reference_does() {
    let (descriptors, form) = both();
    for value in [
        json!({"aDouble": 1.5, "a_float": -0.25, "anInt64": "-9223372036854775808", "aUint64": "18446744073709551615"}),
        json!({"aDouble": "NaN", "aFloat": "-Infinity", "anInt32": -7.0, "aFixed64": 7, "aFixed32": 4_294_967_295_u32}),
        json!({"aDouble": 1, "aFloat": "1.5", "anInt64": 9_007_199_254_740_993_i64, "aUint64": 1e3}),
        json!({"aBool": true, "aString": "ä\u{0}\"", "someBytes": "+/+/", "aUint32": 7, "colour": "BLUE"}),
        json!({"someBytes": "-_-_", "colour": -1, "anSfixed32": -7, "anSfixed64": "-7", "anSint32": -7, "anSint64": -7}),
        json!({"someBytes": "YQ", "colours": ["RED", 3, "DARK", 77]}),
        json!({"inner": {"inner": {"aString": "deep"}, "numbers": [1, 2, -3]}, "many": [{}, {"aBool": true}]}),
        json!({"byName": {"a": {"aBool": true}, "": {}}, "byNumber": {"-7": 1.5, "0": 0}}),
        json!({"by_truth": {"true": "BLUE", "false": 0}, "perhaps": "", "word": "", "known": 7}),
        json!({"called_otherwise": 7, "perhaps": null, "word": null, "count": 3, "inner": null, "numbers": null}),
        json!({"time": "2026-11-22T13:00:00.123456789Z", "length": "-1.5s", "mask": "aB.cD,e"}),
        json!({"time": "0001-01-01T00:00:00Z", "length": "0s", "mask": ""}),
        json!({"object": {"a": null, "b": [1, "c", {"d": true}]}, "value": null, "list": [], "nothing": null}),
        json!({"value": {"a": [null]}, "values": [null, 1, "a", false, {}, []], "wrapped": "7", "wrappedText": ""}),
        json!({"empty": {}, "nested": {"inner": "ZERO"}, "wrapped": null}),
    ] {
        let bytes = ours(descriptors, &value);
        let bytes = bytes.unwrap_or_else(|misfit| panic!("{value}: {misfit:?}"));
        let reference = DynamicMessage::deserialize(form.clone(), &value).unwrap();
        let decoded = DynamicMessage::decode(form.clone(), &*bytes).unwrap();
        assert_eq!(json_of(&decoded), json_of(&reference), "{value}");
    }
}

/// Messages that are none, one per line.
const MISFITS: &str = r#"
    {"aStrin":"a"}
    {"inner":{"many":[{"aStrin":"a"}]}}
    {"byName":{"secret":{"numbers":[1,"a"]}}}
    {"byNumber":{"a":1}}
    {"byTruth":{"yes":1}}
    {"anInt32":2147483648}
    {"anInt32":1.5}
    {"aUint32":-1}
    {"aUint64":1e+30}
    {"aFloat":1e+39}
    {"aDouble":"one"}
    {"aBool":"true"}
    {"aString":1}
    {"someBytes":"*"}
    {"colour":"GREEN"}
    {"colour":1.5}
    {"numbers":1}
    {"numbers":[null]}
    {"numbers":{}}
    {"byName":[]}
    {"inner":[]}
    {"count":1,"word":"a"}
    {"time":"noon"}
    {"time":7}
    {"length":"1 minute"}
    {"length":"400000000000s"}
    {"mask":"a_b"}
    {"object":[]}
    {"list":{}}
    {"wrapped":{"value":1}}
    {"nested":{"inner":"ONE"}}
    []
"#;

#[test]
fn what_does_not_fit_is_named_by_its_path() {
    let (descriptors, form) = both();
    let mut found = String::new();
    for line in MISFITS.trim().lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        assert!(DynamicMessage::deserialize(form.clone(), &value).is_err(), "{value}");
        found += &format!("{value} {:?}\n", ours(descriptors, &value).unwrap_err());
    }
    expect![[r#"
        {"aStrin":"a"} NoField("aStrin")
        {"inner":{"many":[{"aStrin":"a"}]}} NoField("inner.many.aStrin")
        {"byName":{"secret":{"numbers":[1,"a"]}}} Value("byName.numbers")
        {"byNumber":{"a":1}} Value("byNumber")
        {"byTruth":{"yes":1}} Value("byTruth")
        {"anInt32":2147483648} Value("anInt32")
        {"anInt32":1.5} Value("anInt32")
        {"aUint32":-1} Value("aUint32")
        {"aUint64":1e+30} Value("aUint64")
        {"aFloat":1e+39} Value("aFloat")
        {"aDouble":"one"} Value("aDouble")
        {"aBool":"true"} Value("aBool")
        {"aString":1} Value("aString")
        {"someBytes":"*"} Value("someBytes")
        {"colour":"GREEN"} Value("colour")
        {"colour":1.5} Value("colour")
        {"numbers":1} Value("numbers")
        {"numbers":[null]} Value("numbers")
        {"numbers":{}} Value("numbers")
        {"byName":[]} Value("byName")
        {"inner":[]} Value("inner")
        {"count":1,"word":"a"} Value("word")
        {"time":"noon"} Value("time")
        {"time":7} Value("time")
        {"length":"1 minute"} Value("length")
        {"length":"400000000000s"} Value("length")
        {"mask":"a_b"} Value("mask")
        {"object":[]} Value("object")
        {"list":{}} Value("list")
        {"wrapped":{"value":1}} Value("wrapped")
        {"nested":{"inner":"ONE"}} Value("nested.inner")
        [] Value("")
    "#]]
    .assert_eq(&found);
}

#[test]
fn a_type_that_is_not_described_is_named_by_its_path() {
    let mut descriptors = Descriptors::default();
    assert_eq!(ours(&descriptors, &json!({})), Err(Misfit::Unknown(String::new())));
    descriptors.add(&one_field("shop", "Everything", "group", GROUP, "").encode_to_vec()).unwrap();
    let unknown = Err(Misfit::Unknown("group".to_owned()));
    assert_eq!(ours(&descriptors, &json!({"group": {}})), unknown);
}

#[test]
fn a_type_that_contains_itself_has_an_end() {
    let (package, name) = ("google.protobuf", "StringValue");
    let of_itself = one_field(package, name, "value", MESSAGE, ".google.protobuf.StringValue");
    let holder = one_field("shop", "Everything", "word", MESSAGE, ".google.protobuf.StringValue");
    let mut descriptors = Descriptors::default();
    descriptors.add(&of_itself.encode_to_vec()).unwrap();
    descriptors.add(&holder.encode_to_vec()).unwrap();
    assert_eq!(ours(&descriptors, &json!({"word": "a"})), Err(Misfit::Unknown("word".to_owned())));
}

#[test]
fn json_as_deep_as_it_is_read_is_encoded() {
    let (descriptors, form) = both();
    let deepest = 126;
    let json = format!(r#"{{"value": {}{}}}"#, "[".repeat(deepest), "]".repeat(deepest));
    let value: Value = serde_json::from_str(&json).unwrap();
    assert!(serde_json::from_str::<Value>(&format!("[[{json}]]")).is_err(), "it is the deepest");
    let bytes = ours(descriptors, &value).unwrap();
    // Deeper than the reference reads.
    assert!(DynamicMessage::decode(form, &*bytes).is_err() && bytes.len() > deepest);
}

/// A file with one message of one field.
fn one_field(
    package: &str,
    name: &str,
    field: &str,
    kind: i32,
    type_name: &str,
) -> prost_types::FileDescriptorProto {
    prost_types::FileDescriptorProto {
        package: Some(package.to_owned()),
        message_type: vec![prost_types::DescriptorProto {
            name: Some(name.to_owned()),
            field: vec![prost_types::FieldDescriptorProto {
                name: Some(field.to_owned()),
                number: Some(1),
                r#type: Some(kind),
                type_name: Some(type_name.to_owned()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Wire bytes of any message: the reference reads them, and writes the JSON that both read again.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let varint = |number: u32, value: u64| {
        let mut bytes = Vec::new();
        encode_key(number, WireType::Varint, &mut bytes);
        encode_varint(value, &mut bytes);
        bytes
    };
    let sized = |number: u32, value: &[u8]| {
        let mut bytes = Vec::new();
        encode_key(number, WireType::LengthDelimited, &mut bytes);
        encode_varint(value.len() as u64, &mut bytes);
        bytes.extend(value);
        bytes
    };
    let numbers = proptest::sample::select(vec![3_u32, 4, 5, 8, 13, 14, 17, 18, 21, 23, 29, 30]);
    let leaf = prop_oneof![
        (numbers, any::<u64>()).prop_map(move |(number, value)| varint(number, value)),
        (proptest::sample::select(vec![9_u32, 27, 28]), "\\PC{0,9}")
            .prop_map(move |(number, text)| sized(number, text.as_bytes())),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(move |bytes| sized(12, &bytes)),
        (any::<f64>(), any::<f32>()).prop_map(|(double, float)| {
            let mut bytes = Vec::new();
            prost::encoding::double::encode(1, &double, &mut bytes);
            prost::encoding::float::encode(2, &float, &mut bytes);
            bytes
        }),
        (any::<i64>(), any::<i32>()).prop_map(|(long, short)| {
            let mut bytes = Vec::new();
            prost::encoding::sfixed64::encode(16, &long, &mut bytes);
            prost::encoding::sfixed32::encode(15, &short, &mut bytes);
            bytes
        }),
    ];
    let fields = proptest::collection::vec(leaf, 0..6).prop_map(|fields| fields.concat());
    fields.prop_recursive(3, 12, 3, move |inner| {
        proptest::collection::vec((proptest::sample::select(vec![20_u32, 22]), inner), 0..3).prop_map(
            move |inner| {
                inner.into_iter().flat_map(|(number, bytes)| sized(number, &bytes)).collect::<Vec<u8>>()
            },
        )
    })
}

proptest! {
    #[test]
    fn no_descriptors_panic(at in 0..4_000_usize, by: u8, text in "\\PC{0,9}", number: i64) {
        let mut descriptors = Descriptors::default();
        for mut file in FILES.clone() {
            if let Some(byte) = file.get_mut(at) {
                *byte = by;
            }
            let _ = descriptors.add(&file);
        }
        for name in ["aDouble", "aString", "someBytes", "colour", "inner", "numbers", "byName", "time", "value", "wrapped"] {
            for value in [json!(text), json!(number), json!([number]), json!({ &text: number }), json!(null)] {
                let _ = ours(&descriptors, &json!({ name: value }));
            }
        }
    }

    #[test]
    fn any_message_survives_its_json(bytes in message()) {
        let (descriptors, form) = both();
        let reference = DynamicMessage::decode(form.clone(), &*bytes).unwrap();
        let json = json_of(&reference);
        let encoded = ours(descriptors, &json);
        prop_assert!(encoded.is_ok(), "{} {:?}", json, encoded);
        let decoded = DynamicMessage::decode(form.clone(), &*encoded.unwrap()).unwrap();
        let expected = DynamicMessage::deserialize(form, &json).unwrap();
        prop_assert_eq!(json_of(&decoded), json_of(&expected));
    }
}
