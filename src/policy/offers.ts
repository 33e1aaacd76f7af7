// Which of several ways in is taken. Pure: the same offers and bounds always give the same choice.
import type { Offer, OfferBounds } from './decision.js'

type Approval = NonNullable<Offer['approval']>

export type OfferChoice =
  | { readonly offer: Offer; readonly ttlSeconds: number; readonly approvals: readonly Approval[] }
  | { readonly refused: 'binding' | 'lifetime' }

/**
 * Offers whose binding is unmet or whose lifetime is below the provider's floor fall away; of the rest the one with
 * fewest approvers, then longest lifetime, then lowest `@id` is taken. The grant's own requirement counts in every offer.
 */
export function chooseOffer(offers: readonly Offer[], bounds: OfferBounds): OfferChoice {
  const bound = offers.filter(
    (offer) => isBound(offer.binding, bounds.binding) && isBound(bounds.require.binding, bounds.binding),
  )
  const live = bound
    .map((offer) => ({ offer, ttlSeconds: ttlOf(offer, bounds), approvals: approvalsOf(offer, bounds) }))
    .filter(({ ttlSeconds }) => ttlSeconds >= Math.max(bounds.minTtlSeconds, 1))
    .sort(
      (a, b) =>
        approvers(a.approvals) - approvers(b.approvals) ||
        b.ttlSeconds - a.ttlSeconds ||
        (a.offer.policy < b.offer.policy ? -1 : 1),
    )
  const [best] = live
  if (best !== undefined) return best
  // A binding is what the caller can do something about, so it is named first.
  return { refused: bound.length < offers.length ? 'binding' : 'lifetime' }
}

function isBound(wanted: Offer['binding'], actual: OfferBounds['binding']): boolean {
  if (wanted === null) return true
  return wanted === 'any' ? actual !== 'none' : wanted === actual
}

function ttlOf(offer: Offer, bounds: OfferBounds): number {
  const limits = [bounds.ttlSeconds, offer.maxTtlSeconds, bounds.require.maxTtlSeconds]
  return Math.min(...limits.filter((limit) => limit !== null))
}

/** Both the permit's and the grant's; from one group the larger count covers the smaller. */
function approvalsOf(offer: Offer, bounds: OfferBounds): Approval[] {
  const counts = new Map<string, number>()
  for (const approval of [offer.approval, bounds.require.approval]) {
    if (approval !== null) counts.set(approval.group, Math.max(counts.get(approval.group) ?? 0, approval.count))
  }
  return [...counts].map(([group, count]) => ({ group, count }))
}

function approvers(approvals: readonly Approval[]): number {
  return approvals.reduce((sum, approval) => sum + approval.count, 0)
}
