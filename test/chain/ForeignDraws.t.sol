// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {NotProven} from "../../contracts/chain/evidence/Conviction.sol";
import {LoggedEpoch} from "../../contracts/chain/lib/EpochEntries.sol";
import {Checkpoint, Draw} from "../../contracts/chain/lib/Messages.sol";
import {EpochLog} from "./support/EpochLog.sol";
import {vm} from "./support/Vm.sol";

/// @dev Draws against the log's entry of their epoch: a gateway that draws by a key that it likes better.
contract ForeignDrawsTest is EpochLog {
    /// @dev Who signed the head; 0 for the gateway.
    uint256 private _headKey;

    function test_proveForeignDraw_keyOfAnotherTree_convicts() public {
        Draw memory draw = _draw();
        draw.key = "liked better";
        _prove(draw, "k1", 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveForeignDraw_epochWithAudits_convicts() public {
        _hasAudits = true;
        Draw memory draw = _draw();
        draw.key = "liked better";
        _prove(draw, "k1", 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveForeignDraw_anotherSnapshot_convicts() public {
        Draw memory draw = _draw();
        draw.snapshotHash = "another";
        _prove(draw, 0, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    function test_proveForeignDraw_indexBehindTheEpoch_convicts() public {
        Draw memory draw = _draw();
        draw.index = 2;
        _prove(draw, 0, 0);
        _assertEq(registry.accountOf(gateway).convictedAt, START);
    }

    /// Its own key and snapshot prove nothing, whatever else is shown for the key.
    function test_proveForeignDraw_ofItsEpoch_reverts() public {
        _prove(_draw(), "k1", NotProven.selector);
        _prove(_draw(), "not in the tree", NotProven.selector);
    }

    /// What is held against a key must itself be in the tree at the draw's index.
    function test_proveForeignDraw_keyNotShownInTheTree_reverts() public {
        Draw memory draw = _draw();
        draw.key = "liked better";
        _prove(draw, "k0", NotProven.selector);
        draw.index = 0;
        _prove(draw, "k1", NotProven.selector);
    }

    function test_proveForeignDraw_entryOfAnotherEpoch_reverts() public {
        Draw memory draw = _draw();
        (draw.key, draw.epoch) = ("liked better", 2);
        _prove(draw, "k1", NotProven.selector);
    }

    function test_proveForeignDraw_headOfAnotherKeyOrEntryNotInIt_reverts() public {
        Draw memory draw = _draw();
        draw.key = "liked better";
        _headKey = _providerKey(0);
        _prove(draw, "k1", NotProven.selector);
        (Checkpoint memory head, LoggedEpoch memory epoch,) = _epochs(1, 2, 0, 1);
        epoch.entry.atMs += 1;
        bytes memory by = _sign(GATEWAY_KEY, _harness.drawHash(draw));
        bytes memory headBy = _signed(head);
        bytes32[] memory path = _pathOfKey();
        vm.expectRevert(NotProven.selector);
        drawEvidence.proveForeignDraw(draw, by, head, headBy, epoch, "k1", path, 0);
    }

    /// A provider that signs such a thing is no gateway: it has named no log.
    function test_proveForeignDraw_signedByAProvider_reverts() public {
        Draw memory draw = _draw();
        draw.key = "liked better";
        (Checkpoint memory head, LoggedEpoch memory epoch,) = _epochs(1, 2, 0, 1);
        bytes memory by = _sign(_providerKey(0), _harness.drawHash(draw));
        bytes memory headBy = _sign(_providerKey(0), _harness.checkpointHash(head));
        bytes32[] memory path = _pathOfKey();
        vm.expectRevert(NotProven.selector);
        drawEvidence.proveForeignDraw(draw, by, head, headBy, epoch, "k1", path, 0);
    }

    /// @dev A draw by key k1 of epoch 1.
    function _draw() private pure returns (Draw memory draw) {
        (draw.epoch, draw.index, draw.key, draw.snapshotHash) = (1, 1, "k1", "snapshot");
    }

    function _prove(Draw memory draw, bytes32 key, bytes4 why) private {
        (Checkpoint memory head, LoggedEpoch memory epoch,) = _epochs(1, 2, 0, 1);
        bytes memory by = _sign(GATEWAY_KEY, _harness.drawHash(draw));
        bytes memory headBy = _sign(_headKey == 0 ? GATEWAY_KEY : _headKey, _harness.checkpointHash(head));
        bytes32[] memory path = _pathOfKey();
        if (why != 0) vm.expectRevert(why);
        drawEvidence.proveForeignDraw(draw, by, head, headBy, epoch, key, path, 0);
    }
}
