/** The parts of the contracts' interfaces that a gateway uses; a test holds them against the ABIs that forge builds. */
import { parseAbi } from 'viem';

export const TOKEN_ABI = parseAbi([
  'function decimals() view returns (uint8)',
  'function balanceOf(address owner) view returns (uint256)',
  'function approve(address spender, uint256 amount) returns (bool)',
]);

export const REGISTRY_ABI = parseAbi([
  'struct Account { address operator; uint48 nextOperatorAt; uint128 active; uint128 frozen; address reporter; uint48 openedAt; uint48 convictedAt; address nextOperator; uint48 keyCount; uint128 queued; bytes32 manifestHash; bytes32 logOriginHash; }',
  'function open(bytes32 manifestHash)',
  'function nameLog(address account, string origin)',
  'function addKey(address account, address key, bytes proof)',
  'function accountOf(address account) view returns (Account)',
  'function keys(address key) view returns (address account, uint48 worksFrom, uint48 answersUntil)',
  'event StakeAdded(address indexed account, address indexed from, uint128 amount)',
  'event UnbondingQueued(address indexed account, uint128 amount, uint48 readyAt)',
  'event StakeWithdrawn(address indexed account, address indexed to, uint128 amount)',
  'event StakeSlashed(address indexed account, uint128 amount, uint128 refunded, uint128 rewarded, uint128 burned)',
  'event AccountConvicted(address indexed account, address indexed reporter, address indexed slasher)',
  'event KeyAdded(address indexed account, address indexed key, uint48 worksFrom)',
  'event KeyRetired(address indexed account, address indexed key, uint48 answersUntil)',
]);

export const SETTLEMENT_ABI = parseAbi([
  'struct Checkpoint { string origin; uint64 size; bytes32 root; }',
  'struct Pool { uint128 funded; uint128 paid; uint128 committed; uint64 rootCount; uint64 logSize; uint128 withdrawn; }',
  'struct EarningsRoot { bytes32 root; uint64 leafCount; uint128 total; uint64 logSize; bytes32 logRoot; }',
  'function postRoot(address gateway, bytes32 root, uint64 leafCount, uint128 total, Checkpoint head, bytes signature)',
  'function redeem(address gateway, address client, uint64 epoch, uint128 cumulative, bytes signature)',
  'function poolOf(address gateway) view returns (Pool)',
  'function claimed(address gateway, address payee) view returns (uint256)',
  'event Deposited(address indexed client, address indexed gateway, uint64 epoch, uint128 amount)',
  'event Redeemed(address indexed client, address indexed gateway, uint64 epoch, uint128 cumulative, uint128 amount)',
  'event ExitStarted(address indexed client, address indexed gateway, uint48 exitAt)',
  'event ExitCancelled(address indexed client, address indexed gateway)',
  'event Exited(address indexed client, address indexed gateway, uint64 epoch, uint128 amount)',
  'event Funded(address indexed gateway, address indexed from, uint128 amount)',
  'event MarginWithdrawn(address indexed gateway, address indexed to, uint128 amount)',
  'event RootPosted(address indexed gateway, uint64 indexed index, EarningsRoot earnings, uint48 activeAt)',
  'event RootDisabled(address indexed gateway, uint64 indexed index)',
  'event EarningsClaimed(address indexed gateway, address indexed payee, uint128 amount)',
]);

export const EVIDENCE_ABI = parseAbi([
  'struct Opening { bytes32 jobId; uint32 index; bytes32 previous; bytes32 previousRoot; uint32 tokenCount; bool last; bytes32 tokensHash; bytes32 evidenceRoot; bytes32 salt; }',
  'struct Claim { bytes32 jobId; bytes32 ticketHash; bytes32 requestHash; bytes32 roundId; address provider; bytes32 transcriptHash; bytes32 lastCommitment; bytes32 rootsHash; uint32 chunkCount; uint32 outputTokens; uint8 finish; bytes32 checkpoint; }',
  'struct Demand { address account; uint48 answerBy; uint8 status; address demander; address subject; uint8 fault; uint32 index; uint32 size; bytes32 expected; }',
  'function demandOf(bytes32 id) view returns (Demand)',
  'function answerKey(bytes32 id, bytes32 key, bytes32[] path)',
  'function answerAudit(bytes32 id, bytes32 secret)',
  'event Demanded(bytes32 indexed id, address indexed account, uint8 fault, uint48 answerBy)',
  'event Answered(bytes32 indexed id, address indexed account)',
  'event StayedSilent(bytes32 indexed id, address indexed account)',
  'function proveTwoCommitments(bytes32 jobId, uint32 index, bytes32 first, bytes firstSignature, bytes32 second, bytes secondSignature, bytes32 salt)',
  'function proveTwoClaims(Claim first, bytes firstSignature, uint16 places, bytes32[] words, bytes secondSignature, bytes32 salt)',
  'function proveBadOpening(bytes32 commitment, bytes commitmentSignature, Opening opening, bytes openingSignature, bytes32 salt)',
]);

export const RULINGS_ABI = parseAbi([
  'struct Division { address client; uint128 refund; address[] right; }',
  'struct Case { address account; uint48 deadline; uint48 lapsesAt; uint8 state; address opener; uint32 version; uint8 outcome; address appellant; bytes32 disputeId; bytes32 divisionHash; }',
  'function bond() view returns (uint128)',
  'function caseOf(bytes32 caseId) view returns (Case)',
  'function isReferee(uint32 version, uint8 instance, address member) view returns (bool)',
  'function openCase(address account, bytes32 disputeId, bytes32 bundleHash, uint8 fault) returns (bytes32 caseId)',
  'function rule(bytes32 caseId, uint8 outcome, Division division, bytes[] signatures)',
  'function ruleAppeal(bytes32 caseId, uint8 outcome, Division division, bytes[] signatures)',
  'function finalize(bytes32 caseId, Division division)',
]);
