// The one door to Cedar. Node 20's V8 (11.3) ends the whole process when code that it optimised by inlining a call into
// WebAssembly is deoptimised ("unreachable code" in Deoptimizer::DoComputeBuiltinContinuation): seen within seconds of steady
// decisions, never with the inlining off. So it is switched off before Cedar's first call is compiled; it costs nothing that
// can be measured. Later V8s do not have the fault, nor the flag under this name.
import { setFlagsFromString } from 'node:v8'

if (Number.parseInt(process.versions.v8, 10) < 12) setFlagsFromString('--no-turbo-inline-js-wasm-calls')

export {
  type CedarValueJson,
  type Context,
  type DetailedError,
  type EntityJson,
  type EntityUidJson,
  isAuthorized,
  type PolicyJson,
  policyToJson,
  policyToText,
  preparsePolicySet,
  statefulIsAuthorized,
  type ValidationError,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs'
