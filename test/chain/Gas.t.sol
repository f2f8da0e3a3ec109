// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {EarningsTree} from "../../contracts/chain/lib/EarningsTree.sol";
import {Checkpoint, Claim, Messages} from "../../contracts/chain/lib/Messages.sol";
import {EarningsProof, EarningsRoot} from "../../contracts/chain/settlement/Earnings.sol";
import {Harness} from "./support/Harness.sol";
import {SettlementBase} from "./support/SettlementBase.sol";
import {PlainToken, TestToken} from "./support/Tokens.sol";
import {vm} from "./support/Vm.sol";

/// @dev What whole transactions cost: `npm run bench:gas` runs this isolated, so that each call is a transaction with its calldata.
contract GasTest is SettlementBase {
    /// @dev A token as most are: moods cost gas.
    function _makeToken() internal override returns (TestToken) {
        return new PlainToken();
    }

    string private constant GROUP = "contracts";

    function test_gas_twoCommitments() public {
        (bytes32 a, bytes32 b) = (keccak256("a"), keccak256("b"));
        bytes32 job = keccak256("job");
        bytes memory first = _sign(_providerKey(0), Messages.commitment(job, 0, a));
        bytes memory second = _sign(_providerKey(0), Messages.commitment(job, 0, b));
        evidence.proveTwoCommitments(job, 0, a, first, b, second, 0);
        vm.snapshotGasLastCall(GROUP, "equivocation: two commitments");
    }

    function test_gas_twoClaims() public {
        Harness harness = new Harness();
        bytes32 x = keccak256("x");
        Claim memory first = Claim(x, x, x, x, vm.addr(_providerKey(0)), x, x, x, 3, 90, 0, x);
        // Another answer: its transcript, last commitment and length.
        Claim memory second = Claim(x, x, x, x, vm.addr(_providerKey(0)), ~x, ~x, x, 3, 91, 0, x);
        bytes32[] memory words = new bytes32[](3);
        (words[0], words[1], words[2]) = (~x, ~x, bytes32(uint256(91)));
        bytes memory one = _sign(_providerKey(0), harness.claimHash(first));
        bytes memory other = _sign(_providerKey(0), harness.claimHash(second));
        evidence.proveTwoClaims(first, one, 1 << 5 | 1 << 6 | 1 << 9, words, other, 0);
        vm.snapshotGasLastCall(GROUP, "equivocation: two claims");
    }

    function test_gas_twoRoots() public {
        (bytes32 a, bytes32 b) = (keccak256("a"), keccak256("b"));
        bytes32 round = keccak256("round");
        bytes memory first = _sign(GATEWAY_KEY, Messages.permission(round, 0, a));
        bytes memory second = _sign(GATEWAY_KEY, Messages.permission(round, 0, b));
        evidence.proveTwoRoots(round, 0, a, first, b, second, 0);
        vm.snapshotGasLastCall(GROUP, "two roots");
    }

    function test_gas_settlement() public {
        _deposit(100_000);
        _redeem(0, 50_000);
        bytes memory voucher = _voucher(gateway, 0, 90_000);
        vm.prank(gateway);
        settlement.redeem(gateway, _client(), 0, 90_000, voucher);
        vm.snapshotGasLastCall(GROUP, "redeem a voucher");
        _postAndClaim(0, 300);
        vm.snapshotGasLastCall(GROUP, "claim, first of a payee, 2^10 leaves");
        _postAndClaim(1, 700);
        vm.snapshotGasLastCall(GROUP, "claim, later, 2^10 leaves");
    }

    /// @dev A root over 1,024 leaves of which one is the payee's.
    function _postAndClaim(uint64 index, uint128 cumulative) private {
        EarningsProof memory proof;
        proof.rootIndex = index;
        proof.cumulative = cumulative;
        proof.path = new bytes32[](10);
        bytes32 node = EarningsTree.leaf(_provider(0), cumulative);
        for (uint256 i = 0; i < 10; ++i) {
            proof.path[i] = keccak256(abi.encode(index, i));
            node = EarningsTree.node(node, proof.path[i]);
        }
        Checkpoint memory head = _checkpoint(1_000 * (index + 1), keccak256("log"));
        bytes memory signature = _signed(head);
        proof.earnings = EarningsRoot(node, 1_024, cumulative, head.size, head.root);
        vm.prank(gateway);
        settlement.postRoot(gateway, node, 1_024, cumulative, head, signature);
        vm.snapshotGasLastCall(GROUP, index == 0 ? "post a root, first" : "post a root, later");
        _later(ACTIVATION);
        settlement.claim(gateway, _provider(0), proof);
    }

    function test_gas_stakeAndCollect() public {
        vm.prank(stranger);
        registry.stake(gateway, 100);
        vm.snapshotGasLastCall(GROUP, "stake");
        vm.prank(gateway);
        registry.unbond(gateway, 10);
        vm.snapshotGasLastCall(GROUP, "unbond");
        _equivocation(0, 0);
        _later(POT);
        registry.collect(_provider(0));
        vm.snapshotGasLastCall(GROUP, "collect a conviction");
    }

    function test_gas_case() public {
        bytes32 caseId = _openCase(0);
        vm.snapshotGasLastCall(GROUP, "open a case");
        assert(caseId != 0);
    }
}
