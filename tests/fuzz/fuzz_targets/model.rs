//! Checks that reading any bytes as a manifest, as a conversion's specification or as a policy gives a value or an error. A
//! manifest or specification is unchanged after writing and reading. A policy rejects logits and features that are NaN or infinite.

#![no_main]

use cellgate_models::conversion::ConversionSpec;
use cellgate_models::engine::WhitenedFeatures;
use cellgate_models::model::{Manifest, ModelLimits};
use cellgate_models::policy::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::parse(bytes, &ModelLimits::default()) {
        let again = Manifest::parse(&manifest.to_bytes(), &ModelLimits::default());
        assert!(again.is_ok_and(|again| again == manifest), "a manifest changes when it is written");
    }
    if let Ok(spec) = serde_json::from_slice::<ConversionSpec>(bytes)
        && spec.validate().is_ok()
    {
        let text = serde_json::to_vec(&spec).expect("a specification is JSON");
        assert!(serde_json::from_slice::<ConversionSpec>(&text).is_ok_and(|again| again == spec));
    }
    if let Ok(policy) = serde_json::from_slice::<Policy>(bytes) {
        let features = |component: f32| WhitenedFeatures::new([component; WhitenedFeatures::COUNT]);
        let parts = [0.0, 1.0, -1.0].map(|output| (output, features(output)));
        let with_reference = policy.rule_with_reference(&parts).ok();
        for rule in [Some(policy.rule()), with_reference].into_iter().flatten() {
            for output in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                assert_eq!(rule.decide(output, &features(0.0)).verdict, cellgate_models::policy::Verdict::Reject);
                assert_eq!(rule.decide(f32::MIN, &features(output)).verdict, cellgate_models::policy::Verdict::Reject);
            }
        }
    }
});
