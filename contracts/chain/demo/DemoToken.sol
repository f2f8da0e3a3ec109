// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title Money of demonstrations and tests, worth nothing: who deploys it has all of it
contract DemoToken is ERC20 {
    constructor(uint256 supply) ERC20("Assay demo token", "DEMO") {
        _mint(msg.sender, supply);
    }

    /// @notice One base unit is one nano-unit of the ledger.
    function decimals() public pure override returns (uint8) {
        return 9;
    }
}
