// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {Base} from "./Base.sol";
import {vm} from "./Vm.sol";

/// @dev Acts as a slasher that the owner has added: what any later game may do, and no more.
abstract contract SlasherBase is Base {
    bytes32 internal constant ID = bytes32("id");
    address internal _account;
    address internal _key;

    function disputeTime() external pure returns (uint48) {
        return 14 days;
    }

    function setUp() public override {
        super.setUp();
        vm.prank(owner);
        registry.addSlasher(address(this));
        _later(UNBOND + 7 days);
        (_account, _key) = (_provider(0), vm.addr(_providerKey(0)));
    }
}
