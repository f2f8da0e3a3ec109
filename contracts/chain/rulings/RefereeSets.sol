// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {AssayDomain} from "../lib/AssayDomain.sol";
import {TooEarly} from "../registry/RegistryState.sol";

/// @notice Thrown when a set is empty, not strictly ascending, too large, or its threshold is no majority.
error BadSet();
/// @notice Thrown when the appeal's set is not larger than the first, in members and in voices.
error AppealNotLarger();
/// @notice Thrown when fewer members signed than must, or signers are not strictly ascending members.
error NotEnoughVoices();

/// @notice Members in strictly ascending order, and how many must agree.
struct RefereeSet {
    address[] members;
    uint8 threshold;
}

/// @title The two referee sets: who rules first, and the larger one that rules on appeal
/// @dev A case is judged by the sets under which it was opened, whatever the owner does meanwhile.
abstract contract RefereeSets is Ownable2Step, AssayDomain {
    uint256 public constant MEMBERS_MAX = 31;

    /// @notice 0 the first instance, 1 the appeal.
    uint8 internal constant FIRST = 0;
    uint8 internal constant APPEAL = 1;

    /// @notice Version under which cases are opened now.
    uint32 public version;
    /// @notice When the proposed version takes over, 0 if none is proposed.
    uint48 public nextFrom;

    mapping(uint32 version => mapping(uint8 instance => mapping(address member => bool))) internal _isMember;
    mapping(uint32 version => mapping(uint8 instance => uint8)) internal _threshold;

    event SetsProposed(uint32 indexed version, RefereeSet first, RefereeSet appeal, uint48 from);
    event SetsActive(uint32 indexed version);

    constructor(address owner_, RefereeSet memory first, RefereeSet memory appeal) Ownable(owner_) {
        _write(1, first, appeal);
        version = 1;
        emit SetsProposed(1, first, appeal, uint48(block.timestamp));
        emit SetsActive(1);
    }

    /// @notice Proposes the next sets; a proposal that is not active yet is replaced.
    function proposeSets(RefereeSet calldata first, RefereeSet calldata appeal) external onlyOwner {
        if (nextFrom != 0) _erase(version + 1);
        nextFrom = uint48(block.timestamp) + _setDelay();
        _write(version + 1, first, appeal);
        emit SetsProposed(version + 1, first, appeal, nextFrom);
    }

    /// @notice Puts the proposed sets in place; anybody, after the delay.
    function activateSets() external {
        if (nextFrom == 0 || block.timestamp < nextFrom) revert TooEarly(nextFrom);
        nextFrom = 0;
        version += 1;
        emit SetsActive(version);
    }

    function isReferee(uint32 version_, uint8 instance, address member) external view returns (bool) {
        return _isMember[version_][instance][member];
    }

    /// @dev Members proposed and never active, so that they can be taken back.
    mapping(uint8 instance => address[]) private _proposed;

    function _write(uint32 version_, RefereeSet memory first, RefereeSet memory appeal) private {
        if (appeal.members.length <= first.members.length || appeal.threshold <= first.threshold) {
            revert AppealNotLarger();
        }
        _writeOne(version_, FIRST, first);
        _writeOne(version_, APPEAL, appeal);
    }

    function _writeOne(uint32 version_, uint8 instance, RefereeSet memory set) private {
        uint256 count = set.members.length;
        if (count == 0 || count > MEMBERS_MAX || set.threshold > count || 2 * uint256(set.threshold) <= count) {
            revert BadSet();
        }
        for (uint256 i = 0; i < count; ++i) {
            if (i == 0 ? set.members[i] == address(0) : set.members[i] <= set.members[i - 1]) revert BadSet();
            _isMember[version_][instance][set.members[i]] = true;
        }
        _threshold[version_][instance] = set.threshold;
        _proposed[instance] = set.members;
    }

    function _erase(uint32 version_) private {
        for (uint8 instance = FIRST; instance <= APPEAL; ++instance) {
            address[] storage members = _proposed[instance];
            for (uint256 i = 0; i < members.length; ++i) delete _isMember[version_][instance][members[i]];
        }
    }

    /// @dev k of m: signatures in ascending order of their signers.
    function _countVoices(uint32 version_, uint8 instance, bytes32 structHash, bytes[] calldata signatures)
        internal
        view
    {
        address before = address(0);
        for (uint256 i = 0; i < signatures.length; ++i) {
            address signer = _signerOf(structHash, signatures[i]);
            if (signer <= before || !_isMember[version_][instance][signer]) revert NotEnoughVoices();
            before = signer;
        }
        if (signatures.length < _threshold[version_][instance]) revert NotEnoughVoices();
    }

    /// @dev Seconds before proposed sets take over.
    function _setDelay() internal view virtual returns (uint48);
}
