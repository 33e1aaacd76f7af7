// Answers that Cedar gave, by everything it was given: the same question has the same answer as long as the policies are the
// same, and a pipeline asks the same over and over. What a question consists of is little, since only what some policy of the
// slice reads is in it; so it is found again, too.

export interface DecisionMemo<Answer> {
  /** What was answered to exactly this before, or what `decide` answers now. What is not `isSure` is asked anew each time. */
  answerTo(question: string, decide: () => Answer, isSure: (answer: Answer) => boolean): Answer
}

/**
 * Bounded, in characters too: callers choose some of what they are asked about, and what an account holds makes one question as long
 * as thousands of others. One who asks ever new things only makes the others slower.
 */
const maxAnswers = 4_096
const maxCharacters = 8 << 20
const longestQuestion = 64 << 10

/** One for each policy set in force: nothing is carried from one to the next. */
export function createDecisionMemo<Answer>(): DecisionMemo<Answer> {
  const answers = new Map<string, Answer>()
  let characters = 0
  return {
    answerTo(question, decide, isSure) {
      const known = answers.get(question)
      if (known !== undefined) return known
      const answer = decide()
      if (!isSure(answer) || question.length > longestQuestion) return answer
      if (answers.size >= maxAnswers || characters + question.length > maxCharacters) {
        answers.clear()
        characters = 0
      }
      answers.set(question, answer)
      characters += question.length
      return answer
    },
  }
}
