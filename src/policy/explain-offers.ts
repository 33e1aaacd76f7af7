// Which offer was taken and why no other, and what made the lifetime as short as it is.
import type { Offer, OfferBounds } from './decision.js'
import { chooseOffer } from './offers.js'

export interface OfferSeen {
  readonly offer: Offer
  readonly fate: 'taken' | 'binding_unmet' | 'below_the_floor' | 'more_approvers' | 'shorter' | 'higher_id'
}

/** Of permits that all apply. */
export function explainOffers(offers: readonly Offer[], bounds: OfferBounds): OfferSeen[] {
  const choice = chooseOffer(offers, bounds)
  const best = 'offer' in choice ? choice : null
  return offers.map((offer): OfferSeen => {
    if (offer === best?.offer) return { offer, fate: 'taken' }
    const alone = chooseOffer([offer], bounds)
    if ('refused' in alone) {
      return { offer, fate: alone.refused === 'binding' ? 'binding_unmet' : 'below_the_floor' }
    }
    const approvers = (approvals: readonly { count: number }[]) => approvals.reduce((sum, { count }) => sum + count, 0)
    if (approvers(alone.approvals) > approvers(best?.approvals ?? [])) return { offer, fate: 'more_approvers' }
    return { offer, fate: alone.ttlSeconds < (best?.ttlSeconds ?? 0) ? 'shorter' : 'higher_id' }
  })
}

export interface Bound {
  readonly by: string
  readonly seconds: number
}

/** Every bound that shortened what those before it left; the first is what was asked. */
export function narrowing(asked: number, bounds: readonly Bound[]): Bound[] {
  let left = asked
  return [
    { by: 'asked', seconds: asked },
    ...bounds.filter(({ seconds }) => {
      const isNarrower = seconds < left
      if (isNarrower) left = seconds
      return isNarrower
    }),
  ]
}
