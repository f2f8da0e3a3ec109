// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Ambiguous, SnapshotEntry} from "../../contracts/chain/DrawEvidence.sol";
import {NotProven} from "../../contracts/chain/evidence/Conviction.sol";
import {Hashes} from "../../contracts/chain/lib/Hashes.sol";
import {Draw} from "../../contracts/chain/lib/Messages.sol";
import {Base} from "./support/Base.sol";
import {vm} from "./support/Vm.sol";

contract DrawsTest is Base {
    SnapshotEntry[] private _entries;

    function setUp() public override {
        super.setUp();
        bytes32[] memory both = new bytes32[](2);
        (both[0], both[1]) = ("other", "model");
        for (uint160 i = 1; i < 6; ++i) {
            // Two have stake above the cap, one below, one none; the last does not serve the model.
            uint128 stakeNano = i < 3 ? 900 : i == 3 ? 100 : 0;
            SnapshotEntry storage entry = _entries.push();
            entry.provider = address(i);
            entry.rest = ',"operator":"o"';
            entry.stakeNano = stakeNano;
            if (i < 5) entry.modelDigests = both;
        }
    }

    function test_disputeTime_isNone() public view {
        _assertEq(drawEvidence.disputeTime(), 0);
    }

    function test_orderOf_stakedFirstAndEveryoneOnce() public view {
        uint256 firsts;
        for (uint256 seed = 0; seed < 64; ++seed) {
            address[] memory order = drawEvidence.orderOf(300, _entries, "model", keccak256(abi.encode(seed)));
            _assertEq(order.length, 4);
            _assertEq(uint160(order[3]), 4);
            uint256 seen;
            for (uint256 i = 0; i < 4; ++i) seen |= 1 << uint160(order[i]);
            _assertEq(seen, 30);
            if (order[0] == address(3)) firsts += 1;
        }
        // Weights 300, 300, 100: a seventh of 64 is 9.
        require(firsts > 3 && firsts < 18);
    }

    /// The same order by a list that gets shorter, instead of weights that become none.
    function test_orderOf_equalsASimplerDraw() public {
        for (uint128 cap = 0; cap <= 1_000; cap += 125) {
            // From the second half on everybody serves the model.
            if (cap == 500) _entries[4].modelDigests.push("model");
            for (uint256 i = 0; i < 8; ++i) {
                bytes32 seed = keccak256(abi.encode(cap, i));
                address[] memory order = drawEvidence.orderOf(cap, _entries, "model", seed);
                address[] memory expected = _drawn(cap, seed, cap < 500 ? 4 : 5);
                _assertEq(order.length, expected.length);
                for (uint256 j = 0; j < order.length; ++j) require(order[j] == expected[j]);
            }
        }
    }

    address[] private _names;
    uint256[] private _weights;

    function _drawn(uint128 cap, bytes32 seed, uint256 serving) private returns (address[] memory order) {
        order = new address[](serving);
        uint32 step;
        for (uint256 pass = 0; pass < 2; ++pass) {
            delete _names;
            delete _weights;
            for (uint256 i = 0; i < serving; ++i) {
                uint256 weight = _entries[i].stakeNano > cap ? cap : _entries[i].stakeNano;
                if ((weight == 0) != (pass == 1)) continue;
                _names.push(_entries[i].provider);
                _weights.push(pass == 1 ? 1 : weight);
            }
            while (_names.length != 0) {
                order[step] = _taken(seed, step);
                step += 1;
            }
        }
    }

    function _taken(bytes32 seed, uint32 step) private returns (address name) {
        uint256 total;
        for (uint256 i = 0; i < _weights.length; ++i) total += _weights[i];
        uint256 point = uint256(Hashes.hmac(seed, abi.encodePacked(step))) % total;
        uint256 next;
        for (uint256 below = _weights[0]; point >= below; below += _weights[next]) ++next;
        name = _names[next];
        for (uint256 i = next; i + 1 < _names.length; ++i) (_names[i], _weights[i]) = (_names[i + 1], _weights[i + 1]);
        _names.pop();
        _weights.pop();
    }

    function test_orderOf_providersOfOtherModels_areLeftOut() public {
        _entries[1].modelDigests[1] = "a third";
        address[] memory order = drawEvidence.orderOf(300, _entries, "model", "seed");
        _assertEq(order.length, 3);
        for (uint256 i = 0; i < 3; ++i) require(order[i] != _entries[1].provider);
    }

    /// The canonical JSON of SPEC.md §8, written out.
    function test_snapshotHash_isOfTheWrittenText() public view {
        SnapshotEntry[] memory entries = new SnapshotEntry[](2);
        entries[0] = SnapshotEntry(address(0xAB), new bytes32[](2), ',"operator":"o"', 7);
        entries[0].modelDigests[1] = bytes32(uint256(0x0F));
        entries[1] = SnapshotEntry(address(1), new bytes32[](0), "", 10);
        bytes memory text = '{"capNano":"5","entries":[{"address":"0x00000000000000000000000000000000000000ab","modelDigests":["0x0000000000000000000000000000000000000000000000000000000000000000","0x000000000000000000000000000000000000000000000000000000000000000f"],"operator":"o","stakeNano":"7"},{"address":"0x0000000000000000000000000000000000000001","modelDigests":[],"stakeNano":"10"}]}';
        require(drawEvidence.snapshotHash(5, entries) == sha256(abi.encodePacked("assay/snapshot/1", bytes1(0), text)));
    }

    function test_proveFalseDraw_otherOrder_convicts() public {
        Draw memory draw = _draw();
        draw.orderHash = "another order";
        _prove(draw, 300, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveFalseDraw_thatFollows_reverts() public {
        _prove(_draw(), 300, NotProven.selector);
    }

    function test_proveFalseDraw_otherSnapshot_reverts() public {
        Draw memory draw = _draw();
        draw.orderHash = "another order";
        _prove(draw, 301, NotProven.selector);
    }

    /// Two entries passed off as one would give another order: a brace in an entry's text proves nothing.
    function test_proveFalseDraw_ambiguousEntry_reverts() public {
        Draw memory draw = _draw();
        _entries[0].rest = ',"operator":"o{"';
        _prove(draw, 300, Ambiguous.selector);
        _entries[0].rest = ',"operator":"o}"';
        _prove(draw, 300, Ambiguous.selector);
    }

    function _draw() private view returns (Draw memory draw) {
        draw.key = "key";
        draw.bodyHash = "body";
        draw.nonceHash = "nonce";
        draw.modelDigest = "model";
        draw.snapshotHash = drawEvidence.snapshotHash(300, _entries);
        bytes32 seed = _harness.drawSeed(draw.key, draw.bodyHash, draw.nonceHash);
        draw.orderHash = _harness.order(drawEvidence.orderOf(300, _entries, "model", seed));
    }

    function _prove(Draw memory draw, uint128 cap, bytes4 why) private {
        bytes memory signature = _sign(GATEWAY_KEY, _harness.drawHash(draw));
        SnapshotEntry[] memory entries = _entries;
        if (why != 0) vm.expectRevert(why);
        drawEvidence.proveFalseDraw(draw, signature, cap, entries, 0);
    }
}
