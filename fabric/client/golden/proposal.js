// Prints the proposal that the official Node client makes of fixed inputs, in hexadecimal. To make the golden file anew:
//   npm install @hyperledger/fabric-gateway@1.12.1 @grpc/grpc-js@1.14 && node proposal.js > proposal.hex
'use strict';

const crypto = require('node:crypto');
crypto.randomBytes = (length) => Buffer.from(Array.from({ length }, (_, index) => index));
const RealDate = Date;
global.Date = class extends RealDate {
    constructor() {
        super(1795419673042);
    }
};

const { connect } = require('@hyperledger/fabric-gateway');
const grpc = require('@grpc/grpc-js');

const gateway = connect({
    client: new grpc.Client('localhost:1', grpc.credentials.createInsecure()),
    identity: { mspId: 'HospitalMSP', credentials: Buffer.from('certificate') },
});
const proposal = gateway.getNetwork('health').getContract('ehr').newProposal('Links:open', {
    arguments: ['"link-1"', Buffer.from([0, 255])],
    transientData: { key: Buffer.from('secret') },
});

// ProposedTransaction{1 transaction_id, 2 proposal = SignedProposal{1 proposal_bytes}}
const { gateway: messages } = require('@hyperledger/fabric-protos');
const proposed = messages.ProposedTransaction.deserializeBinary(proposal.getBytes());
console.log(proposed.getTransactionId());
console.log(Buffer.from(proposed.getProposal().getProposalBytes()).toString('hex'));
gateway.close();
