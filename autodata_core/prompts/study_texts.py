"""Text of the study role, which a recipe may change, and words that a lesson may use whatever a source says."""

from __future__ import annotations

__all__ = ["COMMON_WORDS", "ORDINARY_WORDS", "STUDY_TEXT"]

STUDY_TEXT = """\
You read the refused questions of one batch and note what they teach about writing questions. Your notes go to somebody who will \
write questions from other documents and has not seen these.

- A note says in one sentence, of at most 300 characters, which kind of question failed, why, and what to do instead.
- It holds for other documents too. It names no person, place, thing, figure or word of a document, question or answer, quotes \
nothing, and repeats no phrase of what you read.
- It is advice about questions. It speaks to no model, and of nobody who marks, checks or decides.
- evidence lists the items that show it. A note that one item shows has low confidence, two medium, three or more high.
- question_type is the type it is about, or null when it is about all.
- At most five notes, the most useful first; none when the failures teach nothing."""

ORDINARY_WORDS = """
about above across add after again all almost also always am an and another any are around as ask asked asking at
avoid avoids away based be because become been before begin being below better between both brief build but by
calculate calculated calculation calculations can cannot careful carry case cases cause causes chain chained change
changes check choose clear clearly combine combined combining common compare compared comparing comparison comparisons
complete compute computed condition conditional conditions consider contain contains context conversion convert
converted converting count counting cover data decide define defined demand demands derive describe detail details
determine did different difficult direct directly do document documents does done each easier easily easy either else
end enough estimate even every exact exactly example examples expect explain explicit explicitly fact facts fail
failed failing fails failure failures few figure figures final find first follow for form format forms found from full
gap general get give given gives good group guess guessed had half hard harder has have he help her hidden him his
hold how however i identify if implicit in include including independent infer information instead intermediate into
involve involving is it item items its join just keep kind know knowledge known large larger last lead least leave
less let level like likely limit line list long longer look looked lookup lookups make makes making many match may me
meaning means measure method middle might minimum missing model models more most much multiple must my name named near
need needed needing needs never next no nor not nothing number numbers obvious of often on once one only operation
operations order other others our out over own part parts passage passages per percentage phrase place plain possible
precise prefer problem problems procedure process put question questions quick quote range rarely rate rates rather
ratio ratios read readable reading reason reasoned reasoning reasons recall reference relation repeat repeated repeats
require required requires rest result results retrieve reword rewording right rule rules same search second section
select sentence separate series several she short should show simple simpler simply since single size skill skills
small so solution solve solved solver solvers some source sources specific split start state stated statement step
steps still straight strong stronger such sum sums sure table take taken task tasks tell test than that the their them
then there these they thing things think this those three through time times to together too topic total totals
translate tried tries true try turn twice two type types under unit units unless until up us use used uses using
usually value values vary version via want was way we weak weaker were what when where whether which while who whole
whose why will with within without word wording words work would write writes writing written wrong yes yield you your
"""
"""A capital at the start of a sentence makes none of these a name."""

COMMON_WORDS = """
able absent accept accident account achieve act action active activity actual address adult advance advice affect age
ago agree air allow alone along already amount analyse analysis animal answer apart appear apply approach area argue
argument arm army arrange arrive art article assume assumption attack attempt attention attribute average aware baby
back bad bag balance ball bank bar basic basis bear beat beauty bed behaviour behind believe belong benefit beside
best big bird birth black blood blue board boat body book border bottom box boy break bridge bring broad brother
building burn business buy call capital car care catch category central century certain chance character cheap child
choice church circle city claim class clause clean climb close clothes coast cold collect colour column come comfort
command commit community company compose composition concept concern conclude conclusion connect constraint contact
continue contract contrast control cook cool copy corner cost country couple course court criteria criterion cross cry
culture current curve customer cut daily danger dark date daughter day dead deal dear death debt decision deep
defensible definition degree deliver depend dependent depth design desk develop die difference dinner direction
discover discuss distance distinguish divide doctor door double doubt draw dream dress drink drive drop dry due duty
ear early earn earth east eat economy edge education effect effective effort egg electric element emotion employ empty
energy engine enjoy enter entire equal escape especially establish evaluate evening event ever everybody everyone
everything evidence evolve exclude exist experience experiment explanation explore express extra eye face factor fair
fall family famous far farm fast father fear feature feed feel fight fill fine finger finish fire fish fit fix flat
floor flow fly focus food foot force forget former formula forward free freedom frequent fresh friend front fruit
function future game garden gas gather girl glass goal god gold government grade graph great green ground grow growth
guide hand handle hang happen happy hat hate head health hear heart heat heavy height history hit home hope horse
hospital hot hotel hour house huge human hundred hurt husband hypothesis ice idea image imagine immediate impact
important improve increase indeed industry inference influence inside integrate interest interpret invite iron island
isolate issue job journey judge jump key kill king kitchen label lady lake land language late laugh law lay layer
learn leg length lesson letter lie life lift light link listen live local logic lose loss lot love low lower machine
main major man manage manner map mark market marry mass master material matter meal meaningful meet member memory
mention message metal mile milk million mind mine minute mistake mix modern modify moment money month moon moral
morning mother mountain mouth move movement multi music narrow nation nature necessary neck neighbour network new news
night nine noise none normal north nose note notice object occur ocean offer office official oil old open opinion
opportunity opposite option ordinary organise origin outcome outside page pain paint pair paper parallel parent park
particular party pass past path pattern pay peace people percent perfect perform perhaps period person phase physical
pick picture piece plan plane plant play pleasure point police policy political poor popular population pose position
positive power practice predict premise prepare present press pressure pretty prevent price principle print prior
private prize probability probable produce product production profit program progress project promise proper property
proportion protect prove provide public pull pure purpose push quality quarter queen quiet race radio rain raise
random rank reach ready real realise receive recent recognise record red reduce refer region relate relevant remain
remember remove rent reply report research respect response responsible return reverse rich ride ring rise risk river
road rock role room root round row run sad safe sail sale salt sand save say scale scene school science score sea
season seat secret see seek seem sell send sense sequence serious serve service set settle setup seven shape share
sharp sheet shift ship shoe shop shore shoulder shout sick side sign silence silver similar simultaneous sing sister
sit site situation six skin sky sleep slow smile smooth social society soft soil soldier son song soon sort soul sound
south space speak special specify speech speed spend spirit spread spring square stage stand standard star station
statistic stay stick stone stop store story strange stream street structure student study style sub subject subtle
subtract succeed success sudden suffer sufficient sugar suggest suit summary summer sun supply support suppose surface
surprise sweet symbol system talk tall tax teach team technique ten tend term theory thick thin thousand threat throw
tie title today tomorrow tone tool tooth top touch toward town trade tradition train transform travel treat tree trial
trick trip trivial trouble trust truth typical union unique university upon usual vague valid valley variable
variation variety various verify victory view village visit voice vote wait walk wall war warm warn wash waste watch
water wave weather week weigh weight welcome west wet wheel white wide wife wild win wind window wine winter wise wish
woman wonder wood world worry worth wound year yellow yesterday young
"""
"""Everyday English: a note may use them even where only one source does."""
