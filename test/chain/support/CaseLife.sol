// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Division, JudgedFault, Outcome, Rulings} from "../../../contracts/chain/Rulings.sol";
import {KeyLife} from "./KeyLife.sol";
import {NoOccasion} from "./StakeLife.sol";
import {vm} from "./Vm.sol";

/// @dev Cases, rulings and appeals. The first referees may be bribed, the larger set not; the honest ghost appeals.
abstract contract CaseLife is KeyLife {
    bytes32[] public cases;
    mapping(bytes32 id => Division) internal _divisions;
    uint256 internal _nonce;
    /// @dev Whether sets that a case was not opened under have ruled it.
    bool public ruledByOthers;

    function openCase(uint8 who, uint8 fault, bool sameDispute) external {
        vm.prank(stranger);
        bytes32 dispute = sameDispute ? bytes32("one") : bytes32(++_nonce);
        cases.push(rulings.openCase(_account(who % 4), dispute, bytes32(++_nonce), JudgedFault(fault % 5)));
    }

    function rule(uint256 which, bool uphold, uint64 refund) external {
        (bytes32 id, address account) = _some(which, Rulings.State.Opened);
        Division memory division = _divisionOf(refund);
        Outcome outcome = uphold ? Outcome.Upheld : Outcome.Rejected;
        rulings.rule(id, outcome, division, _voicesFrom(_setsOf(id), id, 0, outcome, division, 2));
        _divisions[id] = division;
        // The honest ghost appeals what it did not do.
        if (uphold && account == _provider(0)) _appeal(id, _provider(0));
    }

    function appeal(uint256 which) external {
        (bytes32 id,) = _some(which, Rulings.State.Ruled);
        _appeal(id, stranger);
    }

    function ruleAppeal(uint256 which, bool uphold, uint64 refund) external {
        (bytes32 id, address account) = _some(which, Rulings.State.Appealed);
        Division memory division = _divisionOf(refund);
        Outcome outcome = uphold && account != _provider(0) ? Outcome.Upheld : Outcome.Rejected;
        rulings.ruleAppeal(id, outcome, division, _voicesFrom(_setsOf(id), id, 1, outcome, division, 3));
    }

    /// @dev Each set follows the other: referees 0 to 7, and 8 to 15.
    function proposeSets() external {
        uint256 from = rulings.version() % 2 == 1 ? 8 : 0;
        if (rulings.nextFrom() != 0) revert NoOccasion();
        vm.prank(owner);
        rulings.proposeSets(_set(from, 3, 2), _set(from + 3, 5, 3));
    }

    function activateSets() external {
        if (rulings.nextFrom() == 0 || block.timestamp < rulings.nextFrom()) revert NoOccasion();
        rulings.activateSets();
    }

    /// @dev A case is ruled by the sets under which it was opened, whoever sits there since.
    function ruleByOthers(uint256 which, bool uphold) external {
        (bytes32 id,) = _some(which, Rulings.State.Opened);
        Division memory division = _divisionOf(0);
        Outcome outcome = uphold ? Outcome.Upheld : Outcome.Rejected;
        bytes[] memory voices = _voicesFrom(8 - _setsOf(id), id, 0, outcome, division, 3);
        try rulings.rule(id, outcome, division, voices) {
            ruledByOthers = true;
        } catch {}
    }

    function finalize(uint256 which) external {
        for (uint256 k = 0; k < cases.length; ++k) {
            bytes32 id = cases[_at(which, k, cases.length)];
            try rulings.finalize(id, _divisions[id]) {
                return;
            } catch {}
        }
        revert NoOccasion();
    }

    function takeBond(uint8 who, bool ofEvidence) external {
        for (uint256 k = 0; k < 6; ++k) {
            address owner_ = _party((uint256(who) + k) % 6);
            if ((ofEvidence ? evidence.bonds(owner_) : rulings.bonds(owner_)) == 0) continue;
            vm.prank(owner_);
            if (ofEvidence) evidence.withdrawBond(owner_, owner_);
            else rulings.withdrawBond(owner_, owner_);
            return;
        }
        revert NoOccasion();
    }

    function _divisionOf(uint64 refund) private pure returns (Division memory) {
        return _division(_client(), refund % (2 * STAKE), _provider(refund % 3));
    }

    /// @dev The first referee of the sets under which a case was opened.
    function _setsOf(bytes32 id) private view returns (uint256) {
        return rulings.caseOf(id).version % 2 == 1 ? 0 : 8;
    }

    function _appeal(bytes32 id, address by) private {
        vm.prank(by);
        rulings.appeal(id);
    }

    /// @dev A case in a state whose time is not over.
    function _some(uint256 which, Rulings.State state) private view returns (bytes32 id, address account) {
        for (uint256 k = 0; k < cases.length; ++k) {
            id = cases[_at(which, k, cases.length)];
            Rulings.Case memory judged = rulings.caseOf(id);
            if (judged.state == state && block.timestamp < judged.deadline) return (id, judged.account);
        }
        revert NoOccasion();
    }

    /// @dev The k-th place from a random one on.
    function _at(uint256 from, uint256 k, uint256 count) internal pure returns (uint256) {
        return (from % count + k) % count;
    }
}
