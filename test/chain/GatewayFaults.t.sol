// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Fault, NotProven} from "../../contracts/chain/evidence/Conviction.sol";
import {LogLeaf} from "../../contracts/chain/evidence/GatewayFaults.sol";
import {Hashes} from "../../contracts/chain/lib/Hashes.sol";
import {LogMerkle} from "../../contracts/chain/lib/LogMerkle.sol";
import {Attestation, Checkpoint, Claim, Messages, RequestTerms} from "../../contracts/chain/lib/Messages.sol";
import {Base} from "./support/Base.sol";
import {vm} from "./support/Vm.sol";

contract GatewayFaultsTest is Base {
    bytes32[] private _noPath;

    string private constant ENTRY =
        '{"atMs":1,"drawIndex":0,"epoch":1,"requestId":"r","statementHash":"0x1111111111111111111111111111111111111111111111111111111111111111","type":"answer"}';

    // Two roots

    function test_proveTwoRoots_convictsTheGateway() public {
        _twoRoots(GATEWAY_KEY, "a", GATEWAY_KEY, "b", 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveTwoRoots_sameRootOrOtherSigner_reverts() public {
        _twoRoots(GATEWAY_KEY, "a", GATEWAY_KEY, "a", NotProven.selector);
        _twoRoots(GATEWAY_KEY, "a", _providerKey(0), "b", NotProven.selector);
    }

    function _twoRoots(uint256 k1, bytes32 a, uint256 k2, bytes32 b, bytes4 why) private {
        bytes memory first = _sign(k1, Messages.permission("round", 2, a));
        bytes memory second = _sign(k2, Messages.permission("round", 2, b));
        if (why != 0) vm.expectRevert(why);
        evidence.proveTwoRoots("round", 2, a, first, b, second, 0);
    }

    // Forks

    function test_proveForkedLog_convicts() public {
        _fork(_checkpoint(5, "a"), GATEWAY_KEY, _checkpoint(5, "b"), GATEWAY_KEY, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveForkedLog_twoKeysOfOneAccount_convicts() public {
        bytes memory proof = _proof(gateway, 0x2222);
        vm.prank(gateway);
        registry.addKey(gateway, vm.addr(0x2222), proof);
        _fork(_checkpoint(5, "a"), GATEWAY_KEY, _checkpoint(5, "b"), 0x2222, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveForkedLog_otherSizeRootOriginOrSigner_reverts() public {
        _fork(_checkpoint(5, "a"), GATEWAY_KEY, _checkpoint(6, "b"), GATEWAY_KEY, NotProven.selector);
        _fork(_checkpoint(5, "a"), GATEWAY_KEY, _checkpoint(5, "a"), GATEWAY_KEY, NotProven.selector);
        _fork(_checkpoint(5, "a"), GATEWAY_KEY, _checkpoint(5, "b"), _providerKey(0), NotProven.selector);
        // Another log of the same gateway is no fork of this one.
        Checkpoint memory old = Checkpoint("old.example/log", 5, "b");
        _fork(_checkpoint(5, "a"), GATEWAY_KEY, old, GATEWAY_KEY, NotProven.selector);
        _fork(old, GATEWAY_KEY, _checkpoint(5, "a"), GATEWAY_KEY, NotProven.selector);
    }

    function _fork(Checkpoint memory a, uint256 k1, Checkpoint memory b, uint256 k2, bytes4 why) private {
        bytes memory first = _sign(k1, _harness.checkpointHash(a));
        bytes memory second = _sign(k2, _harness.checkpointHash(b));
        if (why != 0) vm.expectRevert(why);
        evidence.proveForkedLog(a, first, b, second, 0);
    }

    function test_proveRewrittenLog_convicts() public {
        // The second head is longer, and holds "x" where the first held "b".
        (Checkpoint memory first, LogLeaf memory one) = _pairLog("a", "b");
        (Checkpoint memory second, LogLeaf memory other) = _tripleLog("a", "x");
        _rewritten(first, one, second, other, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveRewrittenLog_sameLeafOtherIndexOrOutside_reverts() public {
        (Checkpoint memory first, LogLeaf memory one) = _pairLog("a", "b");
        (Checkpoint memory second, LogLeaf memory other) = _tripleLog("a", "b");
        _rewritten(first, one, second, other, NotProven.selector);
        (second, other) = _tripleLog("a", "x");
        LogLeaf memory lied = LogLeaf("lie", other.index, other.path);
        _rewritten(first, one, second, lied, NotProven.selector);
        LogLeaf memory liedFirst = LogLeaf("lie", one.index, one.path);
        _rewritten(first, liedFirst, second, other, NotProven.selector);
        one.index = 0;
        (one.leaf, one.path[0]) = (one.path[0], one.leaf);
        _rewritten(first, one, second, other, NotProven.selector);
    }

    function _pairLog(bytes memory a, bytes memory b) private view returns (Checkpoint memory, LogLeaf memory leaf) {
        leaf = LogLeaf(LogMerkle.leafHash(b), 1, new bytes32[](1));
        leaf.path[0] = LogMerkle.leafHash(a);
        return (_checkpoint(2, LogMerkle.nodeHash(leaf.path[0], leaf.leaf)), leaf);
    }

    function _tripleLog(bytes memory a, bytes memory b) private view returns (Checkpoint memory, LogLeaf memory leaf) {
        (Checkpoint memory pair, LogLeaf memory inPair) = _pairLog(a, b);
        bytes32 third = LogMerkle.leafHash("c");
        leaf = LogLeaf(inPair.leaf, 1, new bytes32[](2));
        (leaf.path[0], leaf.path[1]) = (inPair.path[0], third);
        return (_checkpoint(3, LogMerkle.nodeHash(pair.root, third)), leaf);
    }

    function _rewritten(
        Checkpoint memory first,
        LogLeaf memory one,
        Checkpoint memory second,
        LogLeaf memory other,
        bytes4 why
    ) private {
        (bytes memory a, bytes memory b) = (_signed(first), _signed(second));
        if (why != 0) vm.expectRevert(why);
        evidence.proveRewrittenLog(first, a, one, second, b, other, 0);
    }

    // Attestations against the log

    function test_proveNotLogged_otherStatement_convicts() public {
        _notLogged(_seal(bytes32(uint256(2))), bytes(ENTRY), ORIGIN, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveNotLogged_entryOfAnotherType_convicts() public {
        _notLogged(_seal(_ones()), bytes('{"type":"skip"}'), ORIGIN, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    /// An entry is more than its end.
    function test_proveNotLogged_endOfAnEntryAlone_convicts() public {
        bytes memory end =
            ',"statementHash":"0x1111111111111111111111111111111111111111111111111111111111111111","type":"answer"}';
        _notLogged(_seal(_ones()), end, ORIGIN, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveNotLogged_loggedAsAttested_reverts() public {
        _notLogged(_seal(_ones()), bytes(ENTRY), ORIGIN, NotProven.selector);
    }

    /// An honest gateway's attestations of an earlier log contradict nothing.
    function test_proveNotLogged_anotherLog_reverts() public {
        _notLogged(_seal(bytes32(uint256(2))), bytes(ENTRY), "old.example/log", NotProven.selector);
    }

    function test_proveNotLogged_entryNotUnderTheRootOrForeignHead_reverts() public {
        Attestation memory seal = _seal(bytes32(uint256(2)));
        Checkpoint memory head = _checkpoint(1, LogMerkle.leafHash(bytes(ENTRY)));
        bytes memory sealBy = _sign(GATEWAY_KEY, _harness.attestationHash(seal));
        bytes memory headBy = _signed(head);
        vm.expectRevert(NotProven.selector);
        evidence.proveNotLogged(seal, sealBy, head, headBy, "other", _noPath, 0);
        headBy = _sign(_providerKey(0), _harness.checkpointHash(head));
        vm.expectRevert(NotProven.selector);
        evidence.proveNotLogged(seal, sealBy, head, headBy, bytes(ENTRY), _noPath, 0);
    }

    function _notLogged(Attestation memory seal, bytes memory entry, string memory origin, bytes4 why) private {
        Checkpoint memory head = Checkpoint(origin, 1, LogMerkle.leafHash(entry));
        bytes memory sealBy = _sign(GATEWAY_KEY, _harness.attestationHash(seal));
        bytes memory headBy = _signed(head);
        if (why != 0) vm.expectRevert(why);
        evidence.proveNotLogged(seal, sealBy, head, headBy, entry, _noPath, 0);
    }

    function _ones() private pure returns (bytes32) {
        return 0x1111111111111111111111111111111111111111111111111111111111111111;
    }

    function _seal(bytes32 statementHash) private pure returns (Attestation memory) {
        return Attestation("r", "request", "content", "claims", 0, 0, 1, statementHash);
    }

    // Attestations against their claims

    function test_proveRepeatedClaim_convicts() public {
        _repeated("d", "d", 0, 2, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveRepeatedClaim_differentOrSamePlace_reverts() public {
        _repeated("d", "e", 0, 2, NotProven.selector);
        _repeated("d", "d", 2, 2, NotProven.selector);
    }

    function test_proveRepeatedClaim_otherList_reverts() public {
        bytes32[] memory digests = new bytes32[](2);
        Attestation memory seal = _seal("s");
        bytes memory by = _sign(GATEWAY_KEY, _harness.attestationHash(seal));
        vm.expectRevert(NotProven.selector);
        evidence.proveRepeatedClaim(seal, by, digests, 0, 1, 0);
    }

    function _repeated(bytes32 a, bytes32 c, uint256 i, uint256 j, bytes4 why) private {
        bytes32[] memory digests = new bytes32[](3);
        (digests[0], digests[1], digests[2]) = (a, "b", c);
        Attestation memory seal = _seal("s");
        seal.claimsHash = _harness.claims(digests);
        bytes memory by = _sign(GATEWAY_KEY, _harness.attestationHash(seal));
        if (why != 0) vm.expectRevert(why);
        evidence.proveRepeatedClaim(seal, by, digests, i, j, 0);
    }

    function test_proveForeignClaim_convicts() public {
        _foreign(bytes32("another request"), 1, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    /// Choices after the first have request hashes of their own: an honest answer of several is safe.
    function test_proveForeignClaim_anyChoiceOfTheRequest_reverts() public {
        RequestTerms memory terms = _terms();
        for (uint32 c = 0; c < 128; c += 127) {
            terms.seed = _harness.choiceSeed(9, c);
            _foreign(_harness.requestHash(terms), 1, NotProven.selector);
        }
        terms.seed = _harness.choiceSeed(9, 128);
        _foreign(_harness.requestHash(terms), 1, 0);
    }

    function test_proveForeignClaim_notInTheList_reverts() public {
        _foreign(bytes32("another request"), 0, NotProven.selector);
    }

    function test_proveForeignClaim_termsOfAnotherRequest_reverts() public {
        Claim memory claim;
        claim.requestHash = "another request";
        bytes32[] memory digests = new bytes32[](1);
        digests[0] = registry.digestOf(_harness.claimHash(claim));
        Attestation memory seal = _seal("s");
        seal.claimsHash = _harness.claims(digests);
        bytes memory by = _sign(GATEWAY_KEY, _harness.attestationHash(seal));
        RequestTerms memory terms = _terms();
        vm.expectRevert(NotProven.selector);
        evidence.proveForeignClaim(seal, by, digests, 0, claim, terms, 0);
    }

    function _foreign(bytes32 requestHash, uint256 place, bytes4 why) private {
        Claim memory claim;
        claim.requestHash = requestHash;
        bytes32[] memory digests = new bytes32[](2);
        (digests[0], digests[1]) = ("other", registry.digestOf(_harness.claimHash(claim)));
        Attestation memory seal = _seal("s");
        seal.claimsHash = _harness.claims(digests);
        seal.requestHash = _harness.requestHash(_terms());
        bytes memory by = _sign(GATEWAY_KEY, _harness.attestationHash(seal));
        RequestTerms memory terms = _terms();
        if (why != 0) vm.expectRevert(why);
        evidence.proveForeignClaim(seal, by, digests, place, claim, terms, 0);
    }

    function _terms() private pure returns (RequestTerms memory) {
        return RequestTerms("m", "digest", "prompt", "sampling", 9, 16, "nonce");
    }
}
