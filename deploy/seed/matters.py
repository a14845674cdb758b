"""What villagers report, in words of our own: the matter, where exactly, and two ways to tell it.

`categories` stand in order of preference; a town's profile may know only the later ones.
"""

from dataclasses import dataclass

LATELY = ("前天开始", "上个礼拜起", "昨天傍晚起", "这几天")
LONG = ("有半个多月了", "入冬以后", "一个来月了", "过完年到现在")


@dataclass(frozen=True, slots=True)
class Matter:
    """One kind of report. `{since}` and `{spot}` are filled in for each."""

    categories: tuple[str, ...]
    severity: str
    summary: str
    spots: tuple[str, ...]
    tellings: tuple[str, ...]
    since: tuple[str, ...] = LATELY + LONG


ASKS = (
    "请派人来看看。", "麻烦村里管一管。", "盼着有个回话。", "电话能打通，随时来都行。",
    "什么时候能办，给个准话就行。", "",
)  # fmt: skip

MATTERS = (
    Matter(
        ("dispute_neighbour",), "ordinary", "邻居砌墙占了过道",
        ("两家院子中间", "老屋后墙根", "巷子最窄的地方"),
        ("{since}，隔壁在{spot}砌墙，往我家这边挪了半米多，三轮车推不过去，说了两回都不认。",
         "{spot}本来是两家合用的走道，{since}，邻居把砖一码就成了他家的院子，老人进出要侧着身。"),
    ),
    Matter(
        ("dispute_neighbour",), "ordinary", "邻居屋檐水浇我家墙",
        ("西厢房", "灶房那面墙", "柴棚边"),
        ("邻居翻盖房子没装檐沟，{since}，一下雨水全冲到{spot}，墙皮掉了一大片。",
         "{since}，{spot}的墙脚一直是湿的，水是从隔壁新房檐上下来的，找他家商量没谈拢。"),
        LONG,
    ),
    Matter(
        ("dispute_neighbour",), "ordinary", "邻居的树遮光又落叶堵沟",
        ("我家窗户跟前", "院墙边上", "菜地东头"),
        ("隔壁的杨树长到{spot}，{since}，屋里白天也要开灯，落叶还把沟堵了，想请人给两家说和。",
         "{since}，为了{spot}那棵树吵了好几次，枝子压到我家瓦上，他说树比房子早。"),
        LONG,
    ),
    Matter(
        ("dispute_family", "dispute_neighbour"), "trivial", "兄弟几个为养老人的事闹僵",
        ("老院里", "大哥家", "轮着住的地方"),
        ("老母亲八十多了，{since}，三个儿子谁也不肯多出一份，老人现在住在{spot}没人做饭。",
         "{since}，为着老人看病的钱，兄弟俩在{spot}动了嘴，差点动手，想请长辈和干部坐下来评评。"),
        LONG,
    ),
    Matter(
        ("dispute_family",), "trivial", "小两口打架要离婚",
        ("新房里", "娘家门口", "岔路口"),
        ("{since}，儿子儿媳天天吵，昨天在{spot}摔了东西，孩子吓得不敢睡，想找人劝劝。",
         "{since}，女儿被打过两次，现在躲在外面，男方到{spot}堵人，我们做老人的没有办法。"),
    ),
    Matter(
        ("dispute_land",), "major", "承包地地界被挪",
        ("北坡三亩地", "河滩那块地", "机井旁边的地"),
        ("{since}，{spot}的界石叫人往里挪了两垄，对方说分地的时候就这样，我手里有老账本。",
         "{since}，翻地时发现{spot}少了一条埂，旁边那家已经种上了，请量一量。"),
        LONG,
    ),
    Matter(
        ("dispute_homestead", "dispute_land"), "major", "宅基地边界争议盖不了房",
        ("老宅东边", "打谷场边", "祖屋地基"),
        ("准备翻盖老屋，{since}，后邻拦着不让放线，说{spot}有一尺是他家的，砖都拉来了。",
         "{spot}当年口头换过，没有字据，{since}，对方儿子回来不认，工匠等着开工。"),
        LONG,
    ),
    Matter(
        ("dispute_land",), "ordinary", "流转的地租金一直没给",
        ("南大洼", "大棚那片", "果园"),
        ("{spot}十几户的地都包给一个外地老板种药材，{since}，租金一分没见，人也联系不上。",
         "说好秋后结{spot}的租子，{since}，推了三次，有合同，按了手印的。"),
        LONG,
    ),
    Matter(
        ("demolition", "petition", "dispute_land"), "major", "修路占地的青苗款没到账",
        ("路西边的菜地", "苹果树", "坟地旁的麦地"),
        ("修路占了我家{spot}，别人家都领了，{since}，我家的一直没到，问谁都说不归他管。",
         "{since}，{spot}的数量和登记的对不上，少算了，请重新清点。"),
        LONG,
    ),
    Matter(
        ("labour", "petition"), "major", "工地拖欠工钱",
        ("镇上的工地", "砖厂", "修渠的工程队"),
        ("我们七个人在{spot}干了四十多天，{since}，包工头电话关机，等着钱给孩子交学费。",
         "{since}，{spot}结账只给了一半，剩下的打了条子，条子上的人说已经不干了。"),
        LONG,
    ),
    Matter(
        ("labour", "petition"), "ordinary", "干活摔伤没人管药费",
        ("果品厂", "养鸡场", "搭大棚的时候"),
        ("丈夫在{spot}摔断了手腕，{since}，老板只垫了头一天的钱，没有签合同。",
         "{since}，在{spot}受的伤还没好，老板叫我自己先看，票据都留着。"),
        LONG,
    ),
    Matter(
        ("micro_governance", "service"), "ordinary", "路灯不亮",
        ("小桥头", "卫生室门前", "去学校的那段路"),
        ("{since}，{spot}的路灯就不亮了，晚上接孩子得打手电，前头有个坎，摔过人。",
         "{since}，{spot}两盏灯一盏灭一盏闪，开关箱的门也关不上。"),
    ),
    Matter(
        ("micro_governance", "service"), "ordinary", "水泥路塌了一块",
        ("村东路口", "涵管上头", "下坡拐弯处"),
        ("{since}，{spot}的路面塌了个坑，有脸盆大，里头是空的，拉粮的车不敢走。",
         "{spot}路边裂了一条缝，{since}，越来越宽，先插了根棍子，夜里看不见。"),
    ),
    Matter(
        ("environment",), "ordinary", "排水沟堵了往院里倒灌",
        ("巷子里的明沟", "老槐树下的暗沟", "后街的水沟"),
        ("{spot}堵死了，{since}，只要下雨水就往低处三家院里灌，灶台都泡过。",
         "{since}，{spot}漂着塑料袋和菜叶子，水下不去，一股味，蚊子也多。"),
    ),
    Matter(
        ("environment",), "ordinary", "垃圾没人拉",
        ("村口的垃圾池", "戏台后面", "河沿上"),
        ("{spot}满了，{since}，一直没来车，风一刮到处都是，还有人半夜来倒建筑渣子。",
         "{since}，{spot}老有人点垃圾，烟熏得对门开不了窗。"),
    ),
    Matter(
        ("environment",), "ordinary", "养猪场的粪水流到河里",
        ("村西的养猪场", "桥上游那家", "沟口的猪圈"),
        ("{spot}夜里放粪水，{since}，河沟发黑，下游洗菜都不行了。",
         "{since}，{spot}的味道大得不敢开窗，说是有池子，其实早满了。"),
    ),
    Matter(
        ("environment", "dispute_neighbour"), "ordinary", "半夜噪声吵得睡不着",
        ("隔壁的木工棚", "路边的烧烤摊", "打米的作坊"),
        ("{spot}夜里十一点还在响，{since}，天天这样，家里有高三的学生。",
         "{since}，{spot}早上四点就开机器，跟他说了，好两天又照旧。"),
    ),
    Matter(
        ("public_safety", "security"), "ordinary", "几条没主的狗追人",
        ("小学后面", "广场上", "玉米地边"),
        ("{spot}有四五条野狗，{since}，追过两个骑车的，小孩上学要大人送。",
         "{since}，在{spot}被狗咬了裤腿，没有人认这狗，已经去打了针。"),
        LATELY,
    ),
    Matter(
        ("hidden_danger", "public_safety"), "ordinary", "电线垂下来快挨着头",
        ("晒场边", "巷子口的木杆上", "大门外"),
        ("{spot}有根线松了，{since}，一天比一天低，三轮车拉草都要挑着走，不知道带不带电。",
         "大风过后，{spot}的线耷拉下来，{since}，晚上能看见打火。"),
        LATELY,
    ),
    Matter(
        ("hidden_danger", "public_safety"), "major", "老房子要倒，下面走人",
        ("供销社旧房", "没人住的土屋", "戏台的后墙"),
        ("{spot}的墙鼓出来了，{since}，往下掉土块，学生放学从底下过。",
         "下过雨，{spot}的梁断了一根，{since}，没人管，户主在外地，联系不上，请先围起来。"),
    ),
    Matter(
        ("hidden_danger", "public_safety"), "major", "机井口没有盖",
        ("麦地中间", "果园的路边", "老砖窑旁"),
        ("{spot}有口废井，{since}，盖子不见了，草长起来就看不见。",
         "{since}，{spot}那口井边的土往里塌，羊掉进去一只，要是孩子就坏了。"),
    ),
    Matter(
        ("police_incident", "security"), "ordinary", "电瓶和农具丢了",
        ("院门里", "大棚门口", "机房"),
        ("夜里有人进来，{spot}的三轮车电瓶没了，{since}，附近已经丢了三家。",
         "{since}，{spot}丢了一台水泵和两卷管子，锁是剪开的。"),
    ),
    Matter(
        ("police_incident", "security"), "major", "有人打牌赌钱还打架",
        ("小卖部里屋", "村头空房", "桥下的棚子"),
        ("{since}，{spot}聚着人打牌，输赢不小，昨晚打起来头都破了。",
         "{since}，天黑以后{spot}就来生人，车停一排，邻居不敢说，请不要说是我讲的。"),
    ),
    Matter(
        ("pairing_help", "service"), "ordinary", "独居老人没人照看",
        ("最后一排房", "水塔旁边", "老学校隔壁"),
        ("{spot}住着一位八十多的老人，儿女都不在跟前，{since}，腿疼下不了床，邻居轮着送饭。",
         "{since}，没见{spot}的老人出来晒太阳，敲门应得慢，灯也常是黑的，请多去看看。"),
    ),
    Matter(
        ("service",), "ordinary", "自来水断断续续",
        ("我们这条巷", "坡上十来户", "后街"),
        ("{since}，{spot}白天没水，半夜才有一点，都得起来接。",
         "{since}，{spot}的水发黄，有股铁锈味，放半天才清。"),
        LATELY,
    ),
    Matter(
        ("service",), "ordinary", "老人的补贴停了",
        ("存折上", "手机上", "村里的名单上"),
        ("{since}，母亲的高龄补贴没有到账，{spot}看不到，腿脚不便，不想叫她跑镇上。",
         "{since}，{spot}查不到父亲那一份，去年还有，不知道是不是要重新认证。"),
        LONG,
    ),
    Matter(
        ("online_consult", "consult"), "ordinary", "问医保怎么报销",
        ("县医院", "外地的医院", "镇卫生院"),
        ("家里人在{spot}住过院，{since}，票据都齐了，想问要带什么、在哪里办。",
         "{since}，在{spot}看的病没有直接结算，回来还能不能报，报多少，请说说。"),
        LONG,
    ),
    Matter(
        ("consult",), "ordinary", "问盖房要办什么手续",
        ("自家老宅", "院里空着的地方", "村边的宅基"),
        ("想在{spot}盖三间平房，{since}，问了几个人，说法都不一样，请告诉先找谁。",
         "{since}，准备在{spot}接一层，不知道让不让，怕盖了又拆。"),
        LONG,
    ),
    Matter(
        ("enterprise_service", "service"), "ordinary", "加工点电压不够",
        ("粉条厂", "缝纫的小厂", "冷库"),
        ("{since}，{spot}一开机就跳闸，订单压着，请帮着和供电的说一声。",
         "{since}，{spot}想加一台变压器，材料交过两次，不知道卡在哪里。"),
        LONG,
    ),
    Matter(
        ("banquet", "other"), "ordinary", "办酒席攀比，随礼随不起",
        ("本家", "前街几户", "邻村也来请的"),
        ("{since}，{spot}一个月请了五回，生日、搬家、上学都摆，随礼随得揭不开锅。",
         "{spot}摆酒把路占了半天，{since}，已经第二回了，放炮放到夜里，该有个规矩。"),
        LONG,
    ),
    Matter(
        ("petition", "other"), "major", "多年前的事一直没有结果",
        ("旧水库移民", "老砖厂占地", "合并以前的村账"),
        ("为{spot}的事反映过好几回，{since}，又去问，还是叫等，材料交了厚厚一沓。",
         "{since}，几家人又说起{spot}的事，当年答应的没有兑现，想要一个明白话。"),
        LONG,
    ),
    Matter(
        ("other",), "ordinary", "广播太响或者听不见",
        ("东头", "西头", "新修的广场"),
        ("{since}，{spot}的喇叭早上五点多就响，夜班回来睡不成，能不能晚一点。",
         "{since}，{spot}听不清喇叭说什么，停水停电都不知道。"),
    ),
)  # fmt: skip
