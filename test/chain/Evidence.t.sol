// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Evidence} from "../../contracts/chain/Evidence.sol";
import {StakeRegistry, NobodyAnswers} from "../../contracts/chain/StakeRegistry.sol";
import {NotAnnounced, NotProven} from "../../contracts/chain/evidence/Conviction.sol";
import {InvalidSignature} from "../../contracts/chain/lib/AssayDomain.sol";
import {Hashes} from "../../contracts/chain/lib/Hashes.sol";
import {Claim, Messages, Opening} from "../../contracts/chain/lib/Messages.sol";
import {Convicted} from "../../contracts/chain/registry/Accounts.sol";
import {Base} from "./support/Base.sol";
import {vm} from "./support/Vm.sol";

contract EvidenceTest is Base {
    bytes32 private constant JOB = bytes32("job");
    uint256 private constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    // Two commitments

    function test_proveTwoCommitments_convicts() public {
        _equivocation(0, 0);
        _assertEq(registry.accountOf(_provider(0)).convictedAt, START);
        require(registry.accountOf(_provider(0)).reporter == address(this));
        _assertEq(registry.accountOf(_provider(1)).convictedAt, 0);
    }

    function test_proveTwoCommitments_theSameTwice_reverts() public {
        bytes memory signature = _commitment(0, 0, "a");
        _fails("a", signature, "a", signature, NotProven.selector);
    }

    function test_proveTwoCommitments_twoSigners_reverts() public {
        _fails("a", _commitment(0, 0, "a"), "b", _commitment(1, 0, "b"), NotProven.selector);
    }

    function test_proveTwoCommitments_ofTwoChunks_reverts() public {
        _fails("a", _commitment(0, 0, "a"), "b", _commitment(0, 1, "b"), NotProven.selector);
    }

    function test_proveTwoCommitments_unknownKey_reverts() public {
        bytes memory first = _sign(0x77, Messages.commitment(JOB, 0, "a"));
        bytes memory second = _sign(0x77, Messages.commitment(JOB, 0, "b"));
        _fails("a", first, "b", second, NobodyAnswers.selector);
    }

    /// At most once: the same evidence, or other evidence, takes nothing more.
    function test_proveTwoCommitments_again_reverts() public {
        _equivocation(0, 0);
        _fails("a", _commitment(0, 0, "a"), "b", _commitment(0, 0, "b"), Convicted.selector);
        _fails("c", _commitment(0, 0, "c"), "d", _commitment(0, 0, "d"), Convicted.selector);
    }

    /// Malleability: s and order − s recover the same key; only the low one is a signature.
    function test_proveTwoCommitments_highS_reverts() public {
        bytes memory second = _commitment(0, 0, "b");
        bytes memory high = _flipped(second);
        _fails("a", _commitment(0, 0, "a"), "b", high, InvalidSignature.selector);
        bytes memory short = new bytes(64);
        _fails("a", _commitment(0, 0, "a"), "b", short, InvalidSignature.selector);
        _fails("a", new bytes(65), "b", second, InvalidSignature.selector);
    }

    /// Replay across chains: after a split the other chain's signatures are not this one's.
    function test_proveTwoCommitments_signedForAnotherChain_reverts() public {
        uint256 here = block.chainid;
        bytes memory first = _commitment(0, 0, "a");
        bytes memory second = _commitment(0, 0, "b");
        vm.chainId(here + 1);
        require(registry.domainSeparator() == _separator(here + 1, address(registry)));
        _fails("a", first, "b", second, NotProven.selector);
        vm.chainId(here);
        evidence.proveTwoCommitments(JOB, 0, "a", first, "b", second, 0);
    }

    /// Replay across contracts: what is signed for another network's registry says nothing here.
    function test_proveTwoCommitments_signedForAnotherContract_reverts() public {
        bytes32 elsewhere = _separator(block.chainid, address(0xE15E));
        bytes memory first = _signIn(elsewhere, _providerKey(0), Messages.commitment(JOB, 0, "a"));
        bytes memory second = _signIn(elsewhere, _providerKey(0), Messages.commitment(JOB, 0, "b"));
        _fails("a", first, "b", second, NotProven.selector);
    }

    function test_domain_isOneForAllContracts() public view {
        bytes32 expected = _separator(block.chainid, address(registry));
        require(registry.domainSeparator() == expected && evidence.domainSeparator() == expected);
        require(settlement.domainSeparator() == expected && rulings.domainSeparator() == expected);
        require(drawEvidence.domainSeparator() == expected);
    }

    // Front-running

    /// Who copies a proof out of the queue and is faster gets nothing, if the finder announced it.
    function test_announce_copiedProof_rewardStaysWithTheFinder() public {
        bytes32 salt = "salt";
        evidence.announce(keccak256(abi.encode(_pairOf("a", "b"), stranger, salt)));
        _later(12);
        bytes memory first = _commitment(0, 0, "a");
        bytes memory second = _commitment(0, 0, "b");
        vm.prank(address(0xF407));
        evidence.proveTwoCommitments(JOB, 0, "b", second, "a", first, 0);
        require(registry.accountOf(_provider(0)).reporter == address(0xF407));
        vm.prank(stranger);
        evidence.proveTwoCommitments(JOB, 0, "a", first, "b", second, salt);
        require(registry.accountOf(_provider(0)).reporter == stranger);
        _later(POT);
        registry.collect(_provider(0));
        _assertEq(registry.credits(stranger), STAKE * 3 / 10);
        _assertEq(registry.credits(address(0xF407)), 0);
    }

    function test_announce_othersAnnouncementOrEvidence_reverts() public {
        bytes32 salt = "salt";
        evidence.announce(keccak256(abi.encode(_pairOf("a", "b"), stranger, salt)));
        _later(1);
        bytes memory first = _commitment(0, 0, "a");
        bytes memory second = _commitment(0, 0, "b");
        bytes memory third = _commitment(0, 0, "c");
        vm.expectRevert(NotAnnounced.selector);
        evidence.proveTwoCommitments(JOB, 0, "a", first, "b", second, salt);
        vm.prank(stranger);
        vm.expectRevert(NotAnnounced.selector);
        evidence.proveTwoCommitments(JOB, 0, "a", first, "c", third, salt);
    }

    function test_announce_again_keepsTheFirstTime() public {
        evidence.announce("x");
        _later(5);
        evidence.announce("x");
        _assertEq(evidence.announced("x"), START);
    }

    /// Announcing after the conviction is too late.
    function test_announce_afterConviction_reverts() public {
        _equivocation(0, 0);
        bytes32 salt = "salt";
        evidence.announce(keccak256(abi.encode(_pairOf("a", "b"), stranger, salt)));
        bytes memory first = _commitment(0, 0, "a");
        bytes memory second = _commitment(0, 0, "b");
        vm.prank(stranger);
        vm.expectRevert(Convicted.selector);
        evidence.proveTwoCommitments(JOB, 0, "a", first, "b", second, salt);
    }

    // Two claims

    function test_proveTwoClaims_convicts() public {
        (Claim memory first, Claim memory second) = _claims();
        second.outputTokens = 8;
        _proveClaims(first, second, bytes4(0));
        _assertEq(registry.accountOf(_provider(0)).convictedAt, START);
    }

    function test_proveTwoClaims_sameOrOtherJob_reverts() public {
        (Claim memory first, Claim memory second) = _claims();
        _proveClaims(first, second, NotProven.selector);
        second.jobId = "other";
        _proveClaims(first, second, NotProven.selector);
        // Two jobs have two answers: an honest provider signs those every day.
        second.outputTokens = 8;
        _proveClaims(first, second, NotProven.selector);
    }

    /// Wherever a claim differs, it is another one; the harness hashes it as a whole.
    function test_proveTwoClaims_anyWord_convicts() public {
        (Claim memory first, Claim memory second) = _claims();
        second.ticketHash = "ticket";
        second.requestHash = "request";
        second.roundId = "round";
        second.provider = address(1);
        second.transcriptHash = "transcript";
        second.lastCommitment = "last";
        second.rootsHash = "roots";
        (second.chunkCount, second.outputTokens, second.finish) = (1, 2, 3);
        second.checkpoint = "checkpoint";
        _proveClaims(first, second, bytes4(0));
    }

    /// What stands behind a claim's words is no part of it: one claim shown twice is no fault.
    function test_proveTwoClaims_wordsBehindTheClaim_revert() public {
        (Claim memory first,) = _claims();
        bytes memory one = _sign(_providerKey(0), _harness.claimHash(first));
        bytes32[] memory words = new bytes32[](4);
        words[0] = "another";
        vm.expectRevert(NotProven.selector);
        evidence.proveTwoClaims(first, one, 0xF000, words, one, 0);
    }

    function test_proveTwoClaims_twoSigners_reverts() public {
        (Claim memory first, Claim memory second) = _claims();
        second.outputTokens = 8;
        bytes memory one = _sign(_providerKey(0), _harness.claimHash(first));
        bytes memory other = _sign(_providerKey(1), _harness.claimHash(second));
        (uint16 places, bytes32[] memory words) = _changes(first, second);
        vm.expectRevert(NotProven.selector);
        evidence.proveTwoClaims(first, one, places, words, other, 0);
    }

    // Bad opening

    function test_proveBadOpening_convicts() public {
        Opening memory opening = _opening();
        bytes32 wrong = bytes32("not its hash");
        bytes memory sealedBy = _commitment(0, 3, wrong);
        bytes memory openedBy = _sign(_providerKey(0), _harness.openingHash(opening));
        evidence.proveBadOpening(wrong, sealedBy, opening, openedBy, 0);
        _assertEq(registry.accountOf(_provider(0)).convictedAt, START);
    }

    function test_proveBadOpening_thatFits_reverts() public {
        Opening memory opening = _opening();
        bytes32 right = _harness.commitment(vm.addr(_providerKey(0)), opening);
        bytes memory sealedBy = _commitment(0, 3, right);
        bytes memory openedBy = _sign(_providerKey(0), _harness.openingHash(opening));
        vm.expectRevert(NotProven.selector);
        evidence.proveBadOpening(right, sealedBy, opening, openedBy, 0);
    }

    function test_proveBadOpening_ofAnotherSignerOrChunk_reverts() public {
        Opening memory opening = _opening();
        bytes memory openedBy = _sign(_providerKey(0), _harness.openingHash(opening));
        bytes memory sealedBy = _commitment(1, 3, "x");
        vm.expectRevert(NotProven.selector);
        evidence.proveBadOpening("x", sealedBy, opening, openedBy, 0);
        sealedBy = _commitment(0, 4, "x");
        vm.expectRevert(NotProven.selector);
        evidence.proveBadOpening("x", sealedBy, opening, openedBy, 0);
    }

    function testFuzz_proveBadOpening_neverConvictsWhoOpensWhatItSealed(
        bytes32 a,
        bytes32 b,
        uint32 count,
        bool last,
        bytes32 salt
    ) public {
        Opening memory opening = Opening(JOB, 3, a, b, count, last, b, a, salt);
        bytes32 right = _harness.commitment(vm.addr(_providerKey(0)), opening);
        bytes memory sealedBy = _commitment(0, 3, right);
        bytes memory openedBy = _sign(_providerKey(0), _harness.openingHash(opening));
        vm.expectRevert(NotProven.selector);
        evidence.proveBadOpening(right, sealedBy, opening, openedBy, 0);
    }

    // Steps

    function _commitment(uint256 i, uint32 index, bytes32 sealed_) private view returns (bytes memory) {
        return _sign(_providerKey(i), Messages.commitment(JOB, index, sealed_));
    }

    function _fails(bytes32 a, bytes memory first, bytes32 b, bytes memory second, bytes4 why) private {
        vm.expectRevert(why);
        evidence.proveTwoCommitments(JOB, 0, a, first, b, second, 0);
    }

    function _pairOf(bytes32 a, bytes32 b) private pure returns (bytes32) {
        (bytes32 x, bytes32 y) = (Messages.commitment(JOB, 0, a), Messages.commitment(JOB, 0, b));
        return x < y ? keccak256(abi.encode(x, y)) : keccak256(abi.encode(y, x));
    }

    function _flipped(bytes memory signature) private pure returns (bytes memory) {
        (bytes32 r, bytes32 s, uint8 v) = (_word(signature, 0), _word(signature, 32), uint8(signature[64]));
        return abi.encodePacked(r, ORDER - uint256(s), v == 27 ? uint8(28) : uint8(27));
    }

    function _word(bytes memory from, uint256 offset) private pure returns (bytes32 word) {
        for (uint256 i = 0; i < 32; ++i) word |= bytes32(from[offset + i]) >> (8 * i);
    }

    function _claims() private pure returns (Claim memory first, Claim memory second) {
        first.jobId = JOB;
        first.provider = vm.addr(0xBEE0);
        first.outputTokens = 7;
        second = abi.decode(abi.encode(first), (Claim));
    }

    function _proveClaims(Claim memory first, Claim memory second, bytes4 why) private {
        bytes memory one = _sign(_providerKey(0), _harness.claimHash(first));
        bytes memory other = _sign(_providerKey(0), _harness.claimHash(second));
        (uint16 places, bytes32[] memory words) = _changes(first, second);
        if (why != bytes4(0)) vm.expectRevert(why);
        evidence.proveTwoClaims(first, one, places, words, other, 0);
    }

    /// @dev Where the second claim differs, and what it says there.
    function _changes(Claim memory first, Claim memory second) private pure returns (uint16 places, bytes32[] memory words) {
        (bytes32[12] memory a, bytes32[12] memory b) =
            (abi.decode(abi.encode(first), (bytes32[12])), abi.decode(abi.encode(second), (bytes32[12])));
        uint256 count;
        words = new bytes32[](12);
        for (uint256 i = 0; i < 12; ++i) {
            if (a[i] == b[i]) continue;
            places |= uint16(1 << i);
            words[count++] = b[i];
        }
        assembly ("memory-safe") {
            mstore(words, count)
        }
    }

    function _opening() private pure returns (Opening memory) {
        return Opening(JOB, 3, "previous", "root", 5, true, "tokens", "evidence", "salt");
    }

    /// One pair is one evidence in either order: an announcement is for both.
    function test_proveTwoCommitments_eitherOrder_isOneEvidence() public {
        bytes32 job = bytes32("job");
        bytes32[2] memory hashes = [Messages.commitment(job, 0, "a"), Messages.commitment(job, 0, "b")];
        (bytes32 low, bytes32 high) = hashes[0] < hashes[1] ? (hashes[0], hashes[1]) : (hashes[1], hashes[0]);
        bytes32 pair = keccak256(abi.encode(low, high));
        evidence.announce(keccak256(abi.encode(pair, address(this), bytes32("salt"))));
        _later(1);
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory a = _sign(_providerKey(i), hashes[0]);
            bytes memory b = _sign(_providerKey(i), hashes[1]);
            if (i == 0) evidence.proveTwoCommitments(job, 0, "a", a, "b", b, "salt");
            else evidence.proveTwoCommitments(job, 0, "b", b, "a", a, "salt");
            require(registry.accountOf(_provider(i)).convictedAt != 0);
        }
    }
}
