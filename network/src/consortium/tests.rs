use super::*;

const TEXT: &str = include_str!("../../consortium.toml");

fn refusal(from: &str, to: &str) -> String {
    assert!(TEXT.contains(from), "the consortium's file no longer says {from}");
    Consortium::parse(&TEXT.replacen(from, to, 1)).unwrap_err().message().to_owned()
}

#[test]
fn the_consortium_that_we_ship_is_taken() {
    let consortium = Consortium::parse(TEXT).unwrap();

    assert!(consortium.orderers().count() >= 4);
    assert!(consortium.organisations.iter().all(|organisation| organisation.founder().role == Role::Administrator));
}

#[test]
fn a_consortium_is_written_as_it_is_read() {
    let consortium = Consortium::parse(TEXT).unwrap();

    assert_eq!(Consortium::parse(&consortium.to_toml()).unwrap(), consortium);
}

#[test]
fn members_are_no_part_of_the_shape_and_ports_are() {
    let consortium = Consortium::parse(TEXT).unwrap();
    let more = TEXT.replacen("{ id = \"patient-2\"", "{ id = \"new\", role = \"patient\" }, { id = \"patient-2\"", 1);

    assert_eq!(Consortium::parse(&more).unwrap().shape(), consortium.shape());
    assert_ne!(consortium.clone().with_port_offset(1).unwrap().shape(), consortium.shape());
}

#[test]
fn ports_that_overlap_are_refused() {
    assert!(refusal("first_port = 7110", "first_port = 7109").contains("belongs to both"));
    assert!(refusal("first_port = 7090", "first_port = 7099").contains("belongs to both the consortium and"));
}

#[test]
fn a_port_that_only_the_superuser_may_take_is_refused() {
    assert!(refusal("first_port = 7110", "first_port = 443").contains("between 1024 and 65525"));
}

#[test]
fn an_unknown_kind_or_role_is_refused() {
    assert!(refusal("\"secondary-care\"", "\"spa\"").contains("unknown variant `spa`"));
    assert!(refusal("\"privacy-officer\"", "\"boss\"").contains("unknown variant `boss`"));
}

#[test]
fn a_consortium_without_care_or_patients_is_refused() {
    let text = TEXT.replace("primary-care", "public-health").replace("secondary-care", "public-health");
    let text = text.replace("\"clinician\"", "\"analyst\"");
    assert!(Consortium::parse(&text).unwrap_err().message().contains("no organisation gives care"));

    let text = TEXT.replace("\"patient-services\"", "\"payer\"");
    assert!(Consortium::parse(&text).unwrap_err().message().contains("patients have no organisation"));
}

#[test]
fn names_ids_and_members_that_occur_twice_are_refused() {
    assert!(refusal("name = \"clinic\"", "name = \"hospital\"").contains("two organisations are named"));
    assert!(refusal("ClinicMSP", "HospitalMSP").contains("two organisations have the msp_id"));
    assert!(refusal("\"patient-2\"", "\"patient-1\"").contains("two members have the id"));
}

#[test]
fn a_name_that_could_leave_its_folder_is_refused() {
    assert!(refusal("name = \"clinic\"", "name = \"../clinic\"").contains("must be lower-case letters"));
    assert!(refusal("channel = \"healthchain\"", "channel = \"Health Chain\"").contains("must be lower-case"));
}

#[test]
fn an_organisation_without_administrator_is_refused() {
    assert!(refusal("role = \"administrator\"", "role = \"maintainer\"").contains("has no administrator"));
}

#[test]
fn a_role_outside_its_kind_of_organisation_is_refused() {
    assert!(
        refusal("role = \"payer-officer\"", "role = \"clinician\"").contains("payer-officer has the role clinician")
    );
}

#[test]
fn byzantine_ordering_with_fewer_than_four_orderers_is_refused() {
    let fewer = "kind = \"payer\"\norderer = false";
    assert!(refusal("kind = \"payer\"", fewer).contains("needs four orderers"));

    let raft = TEXT.replace("\"bft\"", "\"raft\"").replacen("kind = \"payer\"", fewer, 1);
    assert_eq!(Consortium::parse(&raft).unwrap().orderers().count(), 3);
}

#[test]
fn an_unknown_setting_is_refused() {
    assert!(refusal("channel =", "color = 1\nchannel =").contains("unknown field `color`"));
}

#[test]
fn an_offset_moves_every_port() {
    let (plain, moved) = (Consortium::parse(TEXT).unwrap(), Consortium::parse(TEXT).unwrap());
    let moved = moved.with_port_offset(1000).unwrap();

    assert_eq!(moved.embedded_operations_port(), plain.embedded_operations_port() + 1000);
    for (moved, plain) in moved.organisations.iter().zip(&plain.organisations) {
        assert_eq!(moved.ports().gateway, plain.ports().gateway + 1000);
    }
    assert!(plain.with_port_offset(60_000).is_err());
}

#[test]
fn majorities_are_more_than_half() {
    let needed: Vec<_> = (1..=6).map(|organisations| Quorum::Majority.of(organisations)).collect();

    assert_eq!(needed, [1, 2, 2, 3, 3, 4]);
}
