//! A running network whose chaincode is replaced by its next version.

use healthchain_end_to_end::{World, until};

const RECORD: &[u8] = br#"{"resourceType":"Procedure"}"#;

crate::promises![the_next_version_of_the_chaincode_goes_on_with_what_the_one_before_wrote];

/// On a network of its own: what its organisations agreed on cannot be taken back on the one that all tests share.
async fn the_next_version_of_the_chaincode_goes_on_with_what_the_one_before_wrote(world: &World) {
    let folder = world.network.layout().root().with_extension("upgraded");
    let first = World::start_beside(&folder, 1).await.unwrap();
    let (hospital, clinic, patient) = (first.hospital_clinician(), first.clinic_clinician(), first.new_patient());
    let link = hospital.publish(patient.id(), "summary", RECORD).await;
    let before = clinic.open(&link, "treatment").await.opening();
    first.network.down().await.unwrap();

    let second = World::start_beside(&folder, 2).await.unwrap();
    let (hospital, clinic) = (second.hospital_clinician(), second.clinic_clinician());
    assert_eq!(clinic.open(&link, "treatment").await.body, RECORD);
    assert_eq!(second.chain(&clinic).links().opening(&before).await.unwrap().link, link);
    let another = hospital.publish(patient.id(), "summary", RECORD).await;
    until("the new link opens", || async {
        let answer = clinic.open(&another, "treatment").await;
        if answer.body == RECORD { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    second.network.clean().await.unwrap();
}
